import errno
import hashlib
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
from joblib import Memory
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler
from sklearn.svm import SVC
from skorch.callbacks import EpochTimer

from skmlp.augmentation import (
    Compose,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from skmlp.neural_network import (
    CNNClassifier,
    CNNRegressor,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.persistence import ModelFileError, load_model, save_model
from skmlp.persistence._allowed_classes import ALLOWED_CLASSES, PATH_PARAMETERS
from skmlp.preprocessing import PixelScaler, PixelStandardizer
from skmlp.storage.container import open_container, seal_container

DIGITS = load_digits()
X = DIGITS.data[:120].astype(np.float32)
Y = DIGITS.target[:120]
FORMAT_1 = Path(__file__).parent / "data" / "format_1.safetensors"


def save_and_load(estimator, path, **kwargs):
    save_model(estimator, path)
    return load_model(path, **kwargs)


def fit(estimator, X=X, y=Y, **kwargs):
    with warnings.catch_warnings(action="ignore"):
        return estimator.fit(X, y, **kwargs)


def with_few_epochs(estimator, **params):
    return estimator.set_params(max_iter=3, random_state=0, **params)


NETWORKS = {
    "softmax": with_few_epochs(SoftmaxRegression()),
    "mlp": with_few_epochs(
        MLPClassifier((20, 10), batch_norm=True, dropout=(0.1, 0.0))
    ),
    "early": with_few_epochs(
        MLPClassifier((9,), early_stopping=True, activation="prelu")
    ),
    "lbfgs": with_few_epochs(MLPClassifier((9,), solver="lbfgs")),
    "refit": with_few_epochs(MLPClassifier((9,), early_stopping=True, refit_full=True)),
    "cnn": with_few_epochs(
        CNNClassifier((4, 6), kernel_size=(2, 3), hidden_layer_sizes=(7,))
    ),
    "residual": with_few_epochs(
        CNNClassifier((3, 5), block="residual", batch_norm=True)
    ),
    "frozen": with_few_epochs(
        CNNClassifier((3,), head="global_average"), frozen_layers=[0]
    ),
    "signals": with_few_epochs(
        CNNRegressor((3, 5), kernel_size=(4, 3), pool=("avg", "max"), conv_dims=1)
    ),
    "rectangles": with_few_epochs(CNNRegressor((3,), kernel_size=((1, 3),))),
    "regressor": with_few_epochs(MLPRegressor(hidden_layer_sizes=8)),
    "poisson": with_few_epochs(MLPRegressor("poisson", (8,), solver="adagrad")),
}


@pytest.mark.on_cuda_too
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_loaded_network_predicts_equal_bits(name, dtype, path, same):
    model = fit(clone(NETWORKS[name]), X.astype(dtype))
    loaded = save_and_load(model, path)
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    for rows in (X.astype(dtype), X[:1].astype(dtype), X[:7].astype(np.uint8)):
        expected = getattr(model, method)(rows)
        assert same(getattr(loaded, method)(rows), expected)
        assert same(loaded.predict(rows), model.predict(rows))


@pytest.mark.parametrize("name", NETWORKS)
def test_loaded_network_has_equal_parameters_and_attributes(name, path, same):
    model = fit(clone(NETWORKS[name]))
    loaded = save_and_load(model, path)
    assert same(loaded, model)
    attributes = {k: v for k, v in vars(model).items() if k not in {"net_", "_monitor"}}
    assert vars(loaded).keys() == vars(model).keys()
    for attribute, value in attributes.items():
        assert same(getattr(loaded, attribute), value), attribute
    assert all(map(same, loaded.coefs_, model.coefs_))
    assert all(map(same, loaded.intercepts_, model.intercepts_))


@pytest.mark.parametrize("name", NETWORKS)
def test_loaded_model_saves_to_an_equal_file(name, path):
    model = fit(clone(NETWORKS[name]))
    save_model(model, path)
    content = path.read_bytes()
    save_model(load_model(path), path)
    assert path.read_bytes() == content


LABELS = {
    "strings": np.array([f"digit {y}" for y in Y]),
    "wide strings": np.array(["é\U0001f600" * int(1 + y) for y in Y], dtype="U40"),
    "objects": np.array([f"digit {y}" for y in Y], dtype=object),
    "two": np.where(Y > 4, "high", "low"),
    "booleans": Y > 4,
    "negative": (Y - 5).astype(np.int8),
    "floats": Y.astype(np.float64),
    "dates": Y.astype("datetime64[D]"),
    "nanoseconds": Y.astype("datetime64[ns]"),
    "durations": Y.astype("timedelta64[s]"),
    "several": np.eye(10, dtype=np.int64)[Y] + np.eye(10, dtype=np.int64)[9 - Y],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_survive_a_round_trip(kind, path, same):
    model = fit(with_few_epochs(MLPClassifier((5,))), y=LABELS[kind])
    loaded = save_and_load(model, path)
    assert same(loaded.classes_, model.classes_)
    assert same(loaded.predict(X), model.predict(X))


def test_model_of_target_probabilities_survives_a_round_trip(path, same):
    model = with_few_epochs(SoftmaxRegression(loss="kullback_leibler"))
    model = fit(model, y=np.eye(10)[Y] * 0.9 + 0.01)
    loaded = save_and_load(model, path)
    assert same(loaded.predict_proba(X), model.predict_proba(X))


def test_feature_names_survive_a_round_trip(path):
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    loaded = save_and_load(fit(with_few_epochs(MLPClassifier((5,))), frame), path)
    assert loaded.feature_names_in_.dtype == object
    assert list(loaded.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame.rename(columns={"pixel 0": "other"}))


def test_temperature_survives_a_round_trip(path, same):
    model = fit(with_few_epochs(SoftmaxRegression())).calibrate_temperature(X, Y)
    loaded = save_and_load(model, path)
    assert same(loaded.predict_proba(X), model.predict_proba(X))


def test_image_shape_survives_a_round_trip(path, same):
    images = X.reshape(-1, 8, 8, 1)
    model = fit(with_few_epochs(CNNClassifier((3,))), images)
    loaded = save_and_load(model, path)
    assert loaded.image_shape_ == (8, 8, 1)
    assert same(loaded.predict_proba(images), model.predict_proba(images))


def test_unfitted_estimator_survives_a_round_trip(path, same):
    loaded = save_and_load(MLPClassifier((7, 8), alpha=[1, 2, 3]), path)
    assert same(loaded, MLPClassifier((7, 8), alpha=[1, 2, 3]))
    assert not hasattr(loaded, "net_")
    fit(loaded)


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": [3, 4]},
        {"hidden_layer_sizes": (3, 4)},
        {"hidden_layer_sizes": np.array([3, 4], dtype=np.int32)},
        {"hidden_layer_sizes": np.int64(3), "alpha": np.float32(0.1)},
        {"n_iter_no_change": np.inf},
        {"n_iter_no_change": float("inf"), "epsilon": 5e-324, "tol": -0.0},
        {"tol": float("nan")},
        {"class_weight": {0: 1.5, "b": 2, (1, 2): None, np.str_("c"): True}},
        {"class_weight": "balanced", "scoring": "accuracy", "dtype": "float64"},
        {"optimizer_params": {"foreach": False, "nested": {"deep": (1, [2, (3,)])}}},
        {"random_state": 2**31 - 1},
        {"random_state": np.random.RandomState(5)},
        {"device": torch.device("cuda", 1)},
        {"verbose": True, "max_iter": 10**30},
        {"frozen_layers": (), "callbacks": []},
        {"loss": "dümmer\ud800\0 \n'\""},
        {"init_from": MLPClassifier((3,))},
    ],
)
def test_parameters_survive_a_round_trip_exactly(params, path, same):
    loaded = save_and_load(MLPClassifier().set_params(**params), path)
    for name, value in params.items():
        assert same(getattr(loaded, name), value)


def test_random_state_continues_after_a_round_trip(path):
    random_state = np.random.RandomState(3)
    random_state.normal(size=7)
    loaded = save_and_load(MLPClassifier(random_state=random_state), path)
    expected = random_state.normal(size=9)
    np.testing.assert_array_equal(loaded.random_state.normal(size=9), expected)


@pytest.mark.parametrize(
    "augmentation",
    [
        RandomAffine(degrees=(-5, 10), translate=(0.1, 0.2)),
        RandomCrop(padding=2),
        RandomHorizontalFlip(p=0.3),
        RandomErasing(value=(0.5,)),
        GaussianNoise(sigma=0.2),
        Compose([RandomCrop(), Compose((GaussianNoise(),))]),
    ],
)
def test_augmentations_survive_a_round_trip(augmentation, path, same):
    loaded = save_and_load(CNNClassifier(augmentation=augmentation), path)
    assert repr(loaded.augmentation) == repr(augmentation)
    assert same(loaded.augmentation, augmentation)


@pytest.mark.parametrize(
    "transformer",
    [
        PixelScaler(),
        PixelScaler(pixel_max=16, feature_range=[-1, 1]),
        PixelStandardizer(),
        PixelStandardizer(scope="global", with_mean=False),
        PixelStandardizer(scope="image"),
        PixelStandardizer(scope="channel", with_std=False),
    ],
)
def test_transformers_survive_a_round_trip(transformer, path, same):
    images = X.reshape(-1, 8, 8)
    transformer = clone(transformer).fit(images)
    loaded = save_and_load(transformer, path)
    assert same(loaded.transform(images), transformer.transform(images))
    assert vars(loaded).keys() == vars(transformer).keys()


def test_pipelines_survive_a_round_trip(path, same):
    inner = make_pipeline("passthrough", PixelStandardizer())
    pipeline = Pipeline(
        [
            ("scale", PixelScaler()),
            ("inner", inner),
            ("nothing", None),
            ("réseau", with_few_epochs(MLPClassifier((6,)))),
        ]
    )
    pipeline.set_output(transform="default")
    fit(pipeline, y=LABELS["strings"])
    loaded = save_and_load(pipeline, path)
    assert [name for name, _ in loaded.steps] == [name for name, _ in pipeline.steps]
    assert same(loaded.predict_proba(X), pipeline.predict_proba(X))
    assert same(loaded[:-1].transform(X), pipeline[:-1].transform(X))


@pytest.mark.parametrize("bootstrap", [False, True])
def test_ensembles_survive_a_round_trip(bootstrap, path, same):
    network = with_few_epochs(MLPClassifier((6,)))
    ensemble = EnsembleClassifier(network, 3, bootstrap=bootstrap, random_state=0)
    fit(ensemble, y=LABELS["strings"])
    loaded = save_and_load(ensemble, path)
    assert same(loaded.predict_proba(X), ensemble.predict_proba(X))
    assert same(loaded.predict(X), ensemble.predict(X))
    assert vars(loaded).keys() == vars(ensemble).keys()


def test_set_output_survives_a_round_trip(path):
    scaler = PixelScaler().fit(X).set_output(transform="pandas")
    assert isinstance(save_and_load(scaler, path).transform(X), pd.DataFrame)


@pytest.mark.on_cuda_too
def test_training_continues_after_loading(path):
    model = fit(with_few_epochs(MLPClassifier((9,), warm_start=True)))
    loaded = save_and_load(model, path)
    fit(loaded)
    assert len(loaded.loss_curve_) == 6
    model = MLPClassifier((9,), random_state=0).partial_fit(X, Y, classes=range(10))
    loaded = save_and_load(model, path)
    before = loaded.loss_
    for _ in range(5):
        loaded.partial_fit(X, Y)
    assert loaded.loss_ < before
    assert len(loaded.loss_curve_) == len(loaded.history_) == 6


def test_init_from_survives_a_round_trip_fitted(path, same):
    source = fit(with_few_epochs(MLPClassifier((6,))))
    model = with_few_epochs(MLPClassifier((6,)), init_from=FrozenEstimator(source))
    loaded = save_and_load(model, path)
    assert same(loaded.init_from.estimator.coefs_[0], source.coefs_[0])
    assert same(fit(loaded).coefs_[0], fit(model).coefs_[0])


# Models that cannot be saved


class Subclass(MLPClassifier):
    pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MLPClassifier(callbacks=[print]), "^callbacks of MLPClassifier cannot"),
        (MLPClassifier(scoring=make_scorer(accuracy_score)), "^scoring of MLP"),
        (MLPClassifier(scoring=lambda *_: 0), "scoring .*<lambda>, which is code"),
        (MLPClassifier(augmentation=torch.relu), "augmentation .* to None before"),
        (
            CNNClassifier(augmentation=Compose([RandomCrop(), torch.relu])),
            "^transforms of Compose cannot be stored",
        ),
        (MLPClassifier(class_weight={0: 1j}), "class_weight .* complex"),
        (MLPClassifier(alpha=np.array([1j])), "alpha .* complex128"),
        (MLPClassifier(alpha=np.datetime64("2000-01-01")), "alpha .* datetime64"),
        (make_pipeline(StandardScaler(), SVC()), "steps of .*SVC.*joblib"),
        (make_pipeline(SplineTransformer(), MLPClassifier()), "steps of .*Spl.*joblib"),
        (
            make_pipeline(FunctionTransformer(np.log1p), MLPClassifier()),
            "^func of FunctionTransformer .* log1p, which is code; use a transformer",
        ),
        (FunctionTransformer(inverse_func=str.upper), "^inverse_func of .* is code"),
        (MLPClassifier(optimizer_params={"a": Path("b")}), "optimizer_params .* Posix"),
        (make_pipeline(MLPClassifier(scoring=print)), "^scoring of MLPClassifier"),
        (Pipeline([("a", PixelScaler())], memory=Memory(None)), "^memory of Pipeline"),
        (SVC(), "SVC cannot be stored; save_model takes"),
        (Subclass(), "a Subclass cannot be stored"),
        (MLPClassifier, "cannot be stored; save_model takes"),
        (None, "takes skmlp's estimators"),
        ([PixelScaler()], "a list cannot be stored"),
    ],
)
def test_unsupported_value_is_named(model, message, path):
    path.write_bytes(b"before")
    with pytest.raises(TypeError, match=message):
        save_model(model, path)
    assert path.read_bytes() == b"before"


def test_search_is_refused_in_favor_of_its_best_estimator(path):
    search = GridSearchCV(with_few_epochs(MLPClassifier((5,))), {"alpha": [0.0]}, cv=2)
    with pytest.raises(TypeError, match="save its best_estimator_"):
        save_model(fit(search), path)


def test_endless_nesting_is_refused(path):
    params = []
    params.append(params)
    with pytest.raises(TypeError, match=r"^optimizer_params of MLP.*too deeply"):
        save_model(MLPClassifier(optimizer_params=params), path)


@pytest.mark.parametrize(
    "params", [{"activation": "tanh"}, {"hidden_layer_sizes": (3,)}, {"loss": "hinge"}]
)
def test_parameters_changed_after_fit_are_refused(params, path):
    model = fit(with_few_epochs(MLPClassifier((5,)))).set_params(**params)
    with pytest.raises(ValueError, match="changed after fit"):
        save_model(model, path)


def test_model_is_saved_after_its_callbacks_are_removed(path):
    model = fit(with_few_epochs(MLPClassifier((5,), callbacks=[EpochTimer()])))
    loaded = save_and_load(model.set_params(callbacks=None), path)
    assert loaded.callbacks_ == []


# Files


def test_newer_format_is_refused(path):
    save_model(PixelScaler(), path)
    content = path.read_bytes().replace(b"format 1, skmlp 0.1", b"format 9, skmlp 7.5")
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"format 9.*skmlp 7\.5.*up to 1"):
        load_model(path)


def test_file_of_format_1_loads():
    """The file was made by `python tests/persistence/test_model_files.py`."""
    loaded = load_model(FORMAT_1)
    assert [name for name, _ in loaded.steps] == ["pixelscaler", "mlpclassifier"]
    network = loaded[-1]
    assert network.hidden_layer_sizes == (3,)
    assert network.classes_.tolist() == ["high", "low"]
    assert network.loss_curve_ == [row["train_loss"] for row in network.history_]
    weights = network.coefs_[0].tobytes() + network.intercepts_[1].tobytes()
    recorded = FORMAT_1.with_suffix(".sha256").read_text().strip()
    assert hashlib.sha256(weights).hexdigest() == recorded
    assert accuracy_score(loaded.predict([[0, 0], [255, 255]]), ["low", "high"]) == 1


def make_format_1():
    rows = np.random.RandomState(0).randint(256, size=(200, 2)).astype(np.float64)
    labels = np.where(rows.sum(axis=1) > 255, "high", "low")
    network = MLPClassifier((3,), solver="sgd", learning_rate_init=0.5, max_iter=20)
    pipeline = make_pipeline(PixelScaler(), network.set_params(random_state=0))
    save_model(fit(pipeline, rows, labels), FORMAT_1)
    weights = network.coefs_[0].tobytes() + network.intercepts_[1].tobytes()
    digest = hashlib.sha256(weights).hexdigest()
    FORMAT_1.with_suffix(".sha256").write_text(f"{digest}\n")


@pytest.mark.parametrize("content", [b"", b"\0", b"\x80\x04N.", b"{}", b"\0" * 99])
def test_other_files_are_refused(content, path):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        load_model(path)


def test_pickle_is_refused(path):
    path.write_bytes(pickle.dumps(MLPClassifier()))
    with pytest.raises(ModelFileError):
        load_model(path)


def test_safetensors_file_of_another_program_is_refused(path):
    safetensors.numpy.save_file({"a": X}, path)
    with pytest.raises(ModelFileError, match="holds arrays, but no model"):
        load_model(path)


def test_missing_file_raises_file_not_found_error(path):
    with pytest.raises(FileNotFoundError):
        load_model(path)
    with pytest.raises(FileNotFoundError):
        save_model(PixelScaler(), path / "in" / "no" / "folder")


def test_folders_and_pipes_are_not_opened(tmp_path):
    with pytest.raises(ModelFileError, match="no regular file"):
        load_model(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(ModelFileError, match="no regular file"):
            load_model(tmp_path / "fifo")


def test_path_may_be_a_string(path):
    save_model(PixelScaler(pixel_max=3), str(path))
    assert load_model(str(path)).pixel_max == 3


# Paths


@pytest.mark.parametrize("memory", ["cache", Path("cache")])
def test_memory_of_a_pipeline_is_not_stored(memory, path):
    pipeline = make_pipeline(PixelScaler(), memory=os.fspath(memory))
    save_model(pipeline, path)
    assert b"cache" not in path.read_bytes()
    assert load_model(path).memory is None
    assert pipeline.memory == os.fspath(memory)


@pytest.mark.parametrize("checkpoint", ["run.checkpoint", Path("run.checkpoint")])
def test_checkpoint_is_not_stored(checkpoint, path):
    ensemble = EnsembleClassifier(
        MLPClassifier(checkpoint=checkpoint), checkpoint=checkpoint
    )
    save_model(make_pipeline(PixelScaler(), ensemble), path)
    assert b"run.checkpoint" not in path.read_bytes()
    loaded = load_model(path)[-1]
    assert loaded.checkpoint is None
    assert loaded.estimator.checkpoint is None


def change_description(path, old, new):
    """Replace a text in the description of a file, and correct the checksum."""
    with open_container(path) as (description, arrays):
        assert old in description
        content = seal_container(description.replace(old, new, 1), dict(arrays))
    path.write_bytes(content)


@pytest.mark.parametrize(
    "form", ['"evil"', '{"path":"evil"}', '{"scalar":["str","evil"]}']
)
def test_paths_in_a_file_are_not_taken(form, path):
    save_model(make_pipeline(MLPClassifier()), path)
    change_description(path, '"memory":null', f'"memory":{form}')
    change_description(path, '"checkpoint":null', f'"checkpoint":{form}')
    change_description(
        path, '"optimizer_params":null', '"optimizer_params":{"path":"b"}'
    )
    loaded = load_model(path)
    assert loaded.memory is None
    assert loaded[-1].checkpoint is None
    assert loaded[-1].optimizer_params is None


@pytest.mark.parametrize("old", ['"memory":null,', ',"verbose":false', ""])
def test_attribute_with_the_name_of_a_parameter_is_refused(old, path):
    save_model(Pipeline([]), path)
    if old:
        change_description(path, old, "")
    name = old.split('"')[1] if old else "_metadata_request"
    change_description(
        path, '"attributes":{}}}', f'"attributes":{{"{name}":"cache"}}}}}}'
    )
    with pytest.raises(ModelFileError, match=f"has no attribute '{name}'"):
        load_model(path)


def test_no_other_parameter_of_an_allowed_class_is_a_path():
    names = set()
    for cls in ALLOWED_CLASSES.values():
        for name, constraints in getattr(cls, "_parameter_constraints", {}).items():
            if constraints != "no_validation" and os.PathLike in constraints:
                names.add(name)
    assert names == PATH_PARAMETERS - {"memory"}  # whose constraint is a text


# Devices


def test_meta_device_is_refused_without_blaming_the_file(path):
    save_model(fit(with_few_epochs(MLPClassifier((5,)))), path)
    with pytest.raises(ValueError, match=r"^device='meta' was requested, but") as error:
        load_model(path, device="meta")
    assert not isinstance(error.value, ModelFileError)


def test_device_is_checked_before_the_file_is_opened(path):
    with pytest.raises(ValueError, match="device='cuda:99' was requested"):
        load_model(path, device="cuda:99")


def test_model_of_a_missing_device_predicts_on_the_cpu(path, same):
    model = fit(with_few_epochs(MLPClassifier((5,), device="cpu")))
    model.device_ = torch.device("cuda:99")
    loaded = save_and_load(model, path)
    assert loaded.device_ == torch.device("cpu")
    assert same(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.cuda
def test_model_moves_between_devices(path):
    model = fit(with_few_epochs(MLPClassifier((5,), device="cuda")))
    assert save_and_load(model, path).device_.type == "cuda"
    on_cpu = save_and_load(model, path, device="cpu")
    assert on_cpu.device_.type == "cpu"
    np.testing.assert_allclose(on_cpu.predict_proba(X), model.predict_proba(X), 1e-4)


# Another process

PROGRAM = """
import sys
sys.modules["matplotlib"] = None
import locale, os, time
import numpy as np, torch
locale.setlocale(locale.LC_ALL, "")
time.tzset()
torch.set_num_threads(int(sys.argv[1]))
from skmlp.persistence import load_model
rows = np.load(sys.argv[2])
for path in sys.argv[3:]:
    model = load_model(path)
    method = getattr(model, "predict_proba", model.predict)
    np.save(path + ".npy", method(rows))
"""


@pytest.mark.parametrize(
    ("threads", "locale", "zone"), [(1, "C", "UTC"), (3, "C.UTF-8", "Asia/Kathmandu")]
)
def test_another_process_predicts_equal_bits(threads, locale, zone, tmp_path, same):
    rows = np.random.default_rng(0).normal(size=(700, 784)).astype(np.float32)
    labels = np.random.default_rng(1).integers(10, size=700)
    models = {
        "mlp": with_few_epochs(MLPClassifier((100, 50)), device="cpu"),
        "double": with_few_epochs(MLPClassifier((100,), dtype="float64"), device="cpu"),
        "cnn": with_few_epochs(CNNClassifier((8, 16)), device="cpu"),
        "regressor": with_few_epochs(
            MLPRegressor(hidden_layer_sizes=(100,)), device="cpu"
        ),
    }
    np.save(tmp_path / "rows.npy", rows)
    paths = []
    for name, model in models.items():
        fit(model.set_params(max_iter=1), rows, labels)
        paths.append(os.fspath(tmp_path / name))
        save_model(model, paths[-1])
    environment = os.environ | {
        "LC_ALL": locale,
        "TZ": zone,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(threads),
    }
    arguments = [sys.executable, "-c", PROGRAM, str(threads), tmp_path / "rows.npy"]
    subprocess.run([*arguments, *paths], env=environment, check=True)
    for name, model in models.items():
        method = getattr(model, "predict_proba", model.predict)
        assert same(np.load(tmp_path / f"{name}.npy"), method(rows)), name


# Full disks


def test_full_disk_leaves_the_old_file_unchanged(path, monkeypatch):
    save_model(PixelScaler(), path)
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left on device: the model of") as info:
        save_model(PixelScaler(pixel_max=1), path)
    assert info.value.errno == errno.ENOSPC
    assert info.value.filename == os.fspath(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


if __name__ == "__main__":
    make_format_1()
