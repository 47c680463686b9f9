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
from sklearn.preprocessing import StandardScaler
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
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.persistence import ModelFileError, load_model, save_model
from skmlp.preprocessing import PixelScaler, PixelStandardizer

DIGITS = load_digits()
X = DIGITS.data[:120].astype(np.float32)
Y = DIGITS.target[:120]
FORMAT_1 = Path(__file__).parent / "data" / "format_1.safetensors"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def through_file(estimator, path, **kwargs):
    save_model(estimator, path)
    return load_model(path, **kwargs)


def fitted(estimator, X=X, y=Y, **kwargs):
    with warnings.catch_warnings(action="ignore"):
        return estimator.fit(X, y, **kwargs)


def few(estimator, **params):
    return estimator.set_params(max_iter=3, random_state=0, **params)


def same(a, b):
    """Tell whether two values are alike in type and value, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        alike = a.dtype == b.dtype and a.shape == b.shape
        if a.dtype == object:
            return alike and same(a.ravel().tolist(), b.ravel().tolist())
        return alike and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.random.RandomState):
        return same(a.get_state(), b.get_state())
    if hasattr(a, "get_params"):
        return same(a.get_params(deep=False), b.get_params(deep=False))
    return a == b or (a != a and b != b)


NETWORKS = {
    "softmax": few(SoftmaxRegression()),
    "mlp": few(MLPClassifier((20, 10), batch_norm=True, dropout=(0.1, 0.0))),
    "early": few(MLPClassifier((9,), early_stopping=True, activation="prelu")),
    "lbfgs": few(MLPClassifier((9,), solver="lbfgs")),
    "refit": few(MLPClassifier((9,), early_stopping=True, refit_full=True)),
    "cnn": few(CNNClassifier((4, 6), kernel_size=(2, 3), hidden_layer_sizes=(7,))),
    "residual": few(CNNClassifier((3, 5), block="residual", batch_norm=True)),
    "frozen": few(CNNClassifier((3,), head="global_average"), frozen_layers=[0]),
    "regressor": few(MLPRegressor(hidden_layer_sizes=8)),
    "poisson": few(MLPRegressor("poisson", (8,), solver="adagrad")),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_predict_the_same_bits(name, dtype, path):
    model = fitted(clone(NETWORKS[name]), X.astype(dtype))
    loaded = through_file(model, path)
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    for rows in (X.astype(dtype), X[:1].astype(dtype), X[:7].astype(np.uint8)):
        expected = getattr(model, method)(rows)
        assert same(getattr(loaded, method)(rows), expected)
        assert same(loaded.predict(rows), model.predict(rows))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_keep_parameters_and_attributes(name, path):
    model = fitted(clone(NETWORKS[name]))
    loaded = through_file(model, path)
    assert same(loaded, model)
    attributes = {k: v for k, v in vars(model).items() if k not in {"net_", "_monitor"}}
    assert vars(loaded).keys() == vars(model).keys()
    for attribute, value in attributes.items():
        assert same(getattr(loaded, attribute), value), attribute
    assert all(map(same, loaded.coefs_, model.coefs_))
    assert all(map(same, loaded.intercepts_, model.intercepts_))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loaded_model_saves_to_the_same_file(name, path):
    model = fitted(clone(NETWORKS[name]))
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
    "several": np.eye(10, dtype=np.int64)[Y] + np.eye(10, dtype=np.int64)[9 - Y],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back(kind, path):
    model = fitted(few(MLPClassifier((5,))), y=LABELS[kind])
    loaded = through_file(model, path)
    assert same(loaded.classes_, model.classes_)
    assert same(loaded.predict(X), model.predict(X))


def test_target_probabilities_come_back(path):
    model = few(SoftmaxRegression(loss="kullback_leibler"))
    model = fitted(model, y=np.eye(10)[Y] * 0.9 + 0.01)
    loaded = through_file(model, path)
    assert same(loaded.predict_proba(X), model.predict_proba(X))


def test_feature_names_come_back(path):
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    loaded = through_file(fitted(few(MLPClassifier((5,))), frame), path)
    assert loaded.feature_names_in_.dtype == object
    assert list(loaded.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame.rename(columns={"pixel 0": "other"}))


def test_temperature_comes_back(path):
    model = fitted(few(SoftmaxRegression())).calibrate_temperature(X, Y)
    loaded = through_file(model, path)
    assert same(loaded.predict_proba(X), model.predict_proba(X))


def test_images_are_known_again(path):
    images = X.reshape(-1, 8, 8, 1)
    model = fitted(few(CNNClassifier((3,))), images)
    loaded = through_file(model, path)
    assert loaded.image_shape_ == (8, 8, 1)
    assert same(loaded.predict_proba(images), model.predict_proba(images))


def test_unfitted_estimators_come_back_unfitted(path):
    loaded = through_file(MLPClassifier((7, 8), alpha=[1, 2, 3]), path)
    assert same(loaded, MLPClassifier((7, 8), alpha=[1, 2, 3]))
    assert not hasattr(loaded, "net_")
    fitted(loaded)


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
def test_parameters_come_back_exactly(params, path):
    loaded = through_file(MLPClassifier().set_params(**params), path)
    for name, value in params.items():
        assert same(getattr(loaded, name), value)


def test_a_random_state_goes_on_where_it_was(path):
    random_state = np.random.RandomState(3)
    random_state.normal(size=7)
    loaded = through_file(MLPClassifier(random_state=random_state), path)
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
def test_augmentations_come_back(augmentation, path):
    loaded = through_file(CNNClassifier(augmentation=augmentation), path)
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
def test_transformers_come_back(transformer, path):
    rows = X.reshape(-1, 8, 8)
    transformer = clone(transformer).fit(rows)
    loaded = through_file(transformer, path)
    assert same(loaded.transform(rows), transformer.transform(rows))
    assert vars(loaded).keys() == vars(transformer).keys()


def test_pipelines_come_back(path):
    inner = make_pipeline("passthrough", PixelStandardizer())
    pipeline = Pipeline(
        [
            ("scale", PixelScaler()),
            ("inner", inner),
            ("nothing", None),
            ("réseau", few(MLPClassifier((6,)))),
        ]
    )
    pipeline.set_output(transform="default")
    fitted(pipeline, y=LABELS["strings"])
    loaded = through_file(pipeline, path)
    assert [name for name, _ in loaded.steps] == [name for name, _ in pipeline.steps]
    assert same(loaded.predict_proba(X), pipeline.predict_proba(X))
    assert same(loaded[:-1].transform(X), pipeline[:-1].transform(X))


@pytest.mark.parametrize("bootstrap", [False, True])
def test_ensembles_come_back(bootstrap, path):
    network = few(MLPClassifier((6,)))
    ensemble = EnsembleClassifier(network, 3, bootstrap=bootstrap, random_state=0)
    fitted(ensemble, y=LABELS["strings"])
    loaded = through_file(ensemble, path)
    assert same(loaded.predict_proba(X), ensemble.predict_proba(X))
    assert same(loaded.predict(X), ensemble.predict(X))
    assert vars(loaded).keys() == vars(ensemble).keys()


def test_set_output_comes_back(path):
    scaler = PixelScaler().fit(X).set_output(transform="pandas")
    assert isinstance(through_file(scaler, path).transform(X), pd.DataFrame)


def test_training_goes_on_after_loading(path):
    model = fitted(few(MLPClassifier((9,), warm_start=True)))
    loaded = through_file(model, path)
    fitted(loaded)
    assert len(loaded.loss_curve_) == 6
    model = MLPClassifier((9,), random_state=0).partial_fit(X, Y, classes=range(10))
    loaded = through_file(model, path)
    before = loaded.loss_
    for _ in range(5):
        loaded.partial_fit(X, Y)
    assert loaded.loss_ < before
    assert len(loaded.loss_curve_) == len(loaded.history_) == 6


def test_a_network_to_start_from_comes_back_fitted(path):
    source = fitted(few(MLPClassifier((6,))))
    model = few(MLPClassifier((6,)), init_from=FrozenEstimator(source))
    loaded = through_file(model, path)
    assert same(loaded.init_from.estimator.coefs_[0], source.coefs_[0])
    assert same(fitted(loaded).coefs_[0], fitted(model).coefs_[0])


# What cannot be saved


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
        (make_pipeline(StandardScaler(), MLPClassifier()), "steps of .*Stan.*joblib"),
        (make_pipeline(MLPClassifier(scoring=print)), "^scoring of MLPClassifier"),
        (Pipeline([("a", PixelScaler())], memory=Memory(None)), "^memory of Pipeline"),
        (StandardScaler(), "StandardScaler cannot be stored; save_model takes"),
        (Subclass(), "a Subclass cannot be stored"),
        (MLPClassifier, "cannot be stored; save_model takes"),
        (None, "takes skmlp's estimators"),
        ([PixelScaler()], "a list cannot be stored"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_by_name(model, message, path):
    path.write_bytes(b"before")
    with pytest.raises(TypeError, match=message):
        save_model(model, path)
    assert path.read_bytes() == b"before"


def test_of_a_search_the_best_estimator_is_asked_for(path):
    search = GridSearchCV(few(MLPClassifier((5,))), {"alpha": [0.0]}, cv=2)
    with pytest.raises(TypeError, match="save its best_estimator_"):
        save_model(fitted(search), path)


def test_labels_of_dates_are_refused_by_name(path):
    model = fitted(few(MLPClassifier((5,))))
    model.classes_ = np.arange(10).astype("datetime64[D]")
    with pytest.raises(TypeError, match=r"^classes_ of MLPClassifier .*datetime64"):
        save_model(model, path)


def test_endless_nesting_is_refused(path):
    params = []
    params.append(params)
    with pytest.raises(TypeError, match=r"^optimizer_params of MLP.*too deeply"):
        save_model(MLPClassifier(optimizer_params=params), path)


@pytest.mark.parametrize(
    "params", [{"activation": "tanh"}, {"hidden_layer_sizes": (3,)}, {"loss": "hinge"}]
)
def test_parameters_changed_after_fit_are_refused(params, path):
    model = fitted(few(MLPClassifier((5,)))).set_params(**params)
    with pytest.raises(ValueError, match="changed after fit"):
        save_model(model, path)


def test_callbacks_may_be_taken_away_after_fit(path):
    model = fitted(few(MLPClassifier((5,), callbacks=[EpochTimer()])))
    loaded = through_file(model.set_params(callbacks=None), path)
    assert loaded.callbacks_ == []


# Files


def test_a_newer_format_is_refused_by_its_number(path):
    save_model(PixelScaler(), path)
    content = path.read_bytes().replace(b"format 1, skmlp 0.1", b"format 9, skmlp 7.5")
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"format 9.*skmlp 7\.5.*up to 1"):
        load_model(path)


def test_format_1_loads():
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
    save_model(fitted(pipeline, rows, labels), FORMAT_1)
    weights = network.coefs_[0].tobytes() + network.intercepts_[1].tobytes()
    digest = hashlib.sha256(weights).hexdigest()
    FORMAT_1.with_suffix(".sha256").write_text(f"{digest}\n")


@pytest.mark.parametrize("content", [b"", b"\0", b"\x80\x04N.", b"{}", b"\0" * 99])
def test_other_files_are_refused(content, path):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        load_model(path)


def test_a_pickle_is_not_opened(path):
    path.write_bytes(pickle.dumps(MLPClassifier()))
    with pytest.raises(ModelFileError):
        load_model(path)


def test_arrays_of_another_program_are_refused(path):
    safetensors.numpy.save_file({"a": X}, path)
    with pytest.raises(ModelFileError, match="holds arrays, but no model"):
        load_model(path)


def test_a_missing_file_is_an_oserror(path):
    with pytest.raises(FileNotFoundError):
        load_model(path)
    with pytest.raises(FileNotFoundError):
        save_model(PixelScaler(), path / "in" / "no" / "folder")


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    with pytest.raises(ModelFileError, match="no regular file"):
        load_model(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(ModelFileError, match="no regular file"):
            load_model(tmp_path / "fifo")


def test_paths_may_be_strings(path):
    save_model(PixelScaler(pixel_max=3), str(path))
    assert load_model(str(path)).pixel_max == 3


# Devices


def test_device_is_checked_before_the_file(path):
    with pytest.raises(ValueError, match="device='cuda:99' was requested"):
        load_model(path, device="cuda:99")


def test_a_model_of_a_missing_device_predicts_on_the_cpu(path):
    model = fitted(few(MLPClassifier((5,), device="cpu")))
    model.device_ = torch.device("cuda:99")
    loaded = through_file(model, path)
    assert loaded.device_ == torch.device("cpu")
    assert same(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.cuda
def test_a_model_moves_between_devices(path):
    model = fitted(few(MLPClassifier((5,), device="cuda")))
    assert through_file(model, path).device_.type == "cuda"
    on_cpu = through_file(model, path, device="cpu")
    assert on_cpu.device_.type == "cpu"
    np.testing.assert_allclose(on_cpu.predict_proba(X), model.predict_proba(X), 1e-4)


# Another process

ELSEWHERE = """
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
def test_another_process_predicts_the_same_bits(threads, locale, zone, tmp_path):
    rows = np.random.default_rng(0).normal(size=(700, 784)).astype(np.float32)
    labels = np.random.default_rng(1).integers(10, size=700)
    models = {
        "mlp": few(MLPClassifier((100, 50)), device="cpu"),
        "double": few(MLPClassifier((100,), dtype="float64"), device="cpu"),
        "cnn": few(CNNClassifier((8, 16)), device="cpu"),
        "regressor": few(MLPRegressor(hidden_layer_sizes=(100,)), device="cpu"),
    }
    np.save(tmp_path / "rows.npy", rows)
    paths = []
    for name, model in models.items():
        fitted(model.set_params(max_iter=1), rows, labels)
        paths.append(os.fspath(tmp_path / name))
        save_model(model, paths[-1])
    environment = os.environ | {
        "LC_ALL": locale,
        "TZ": zone,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(threads),
    }
    arguments = [sys.executable, "-c", ELSEWHERE, str(threads), tmp_path / "rows.npy"]
    subprocess.run([*arguments, *paths], env=environment, check=True)
    for name, model in models.items():
        method = getattr(model, "predict_proba", model.predict)
        assert same(np.load(tmp_path / f"{name}.npy"), method(rows)), name


# Full disks


def test_a_full_disk_leaves_the_file_before(path, monkeypatch):
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
