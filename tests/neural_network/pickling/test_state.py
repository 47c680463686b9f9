"""The pickled state of an estimator is arrays and plain values."""

import copy
import io
import math
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import skorch
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_estimators import SMALL, output_of

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    CNNRegressor,
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
)
from skmlp.persistence import TRUSTED_TYPES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FEW = {"max_iter": 2, "random_state": 0}
MODELS = {
    "mlp": MLPClassifier(5, early_stopping=True, **FEW),
    "deep": MLPClassifier((6, 5, 4), batch_norm=True, dropout=0.2, **FEW),
    "prelu": MLPClassifier(5, activation="prelu", frozen_layers=[0], **FEW),
    "generator": MLPClassifier(5, max_iter=2, random_state=np.random.RandomState(3)),
    "nadam": MLPClassifier(5, solver="nadam", warm_start=True, **FEW),
    "lbfgs": MLPClassifier(5, solver="lbfgs", loss="hinge", **FEW),
    "refit": MLPClassifier(5, early_stopping=True, refit_full=True, **FEW),
    "averaged": MLPClassifier(5, weight_averaging=0.9, label_smoothing=0.1, **FEW),
    "regressor": MLPRegressor(hidden_layer_sizes=5, loss="huber", alpha=[0, 1], **FEW),
    "cnn": CNNClassifier((4, 3), image_shape=(8, 8), frozen_layers=[0], **FEW),
    "residual": CNNClassifier((4, 4), block="residual", batch_norm=True, **FEW),
    "signals": CNNRegressor((4, 3), pool=("max", "avg"), conv_dims=1, **FEW),
    "autoencoder": MLPAutoencoder(2, 5, decoder_layer_sizes=(4, 6), **FEW),
    **SMALL,
    "pipeline": make_pipeline(StandardScaler(), MLPClassifier(3, **FEW)),
    "search": PackedGridSearchCV(MLPClassifier(3, **FEW), {"alpha": [0.1, 1]}, cv=2),
}


def by_pickle(model):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def by_package(name, dumps, loads):
    """Return a copy by another serializer, or skip the test without it."""

    def copied(model):
        package = pytest.importorskip(name)
        return getattr(package, loads)(getattr(package, dumps)(model))

    return copied


def by_skops(model):
    io = pytest.importorskip("skops.io")
    content = io.dumps(model)
    names = io.get_untrusted_types(data=content)
    # A search holds objects of scikit-learn that skops does not know.
    known = ("skmlp.", "sklearn.", "small_estimators.")
    assert all(name.startswith(known) for name in names)
    return io.loads(content, trusted=names)


COPIES = {
    "pickle": by_pickle,
    "joblib": by_joblib,
    "deepcopy": copy.deepcopy,
    "cloudpickle": by_package("cloudpickle", "dumps", "loads"),
    "dill": by_package("dill", "dumps", "loads"),
    "skops": by_skops,
}


@pytest.fixture(scope="module")
def fitted(digits):
    """Return a fitted model by its name; tests do not change it."""
    known = {}

    def get(name):
        if name not in known:
            known[name] = clone(MODELS[name]).fit(*digits)
        return known[name]

    return get


def networks_of(model):
    """Return the networks in an estimator."""
    model = getattr(model, "best_estimator_", model)
    if hasattr(model, "estimators_"):
        return model.estimators_
    return [model[-1] if hasattr(model, "steps") else model]


def public_results(network):
    """Return the fitted attributes that tell of the training."""
    names = ("history_", "loss_curve_", "validation_scores_", "best_epoch_", "loss_")
    names += ("n_iter_", "t_", "best_loss_", "best_validation_score_", "device_")
    return {name: vars(network)[name] for name in names if name in vars(network)}


@pytest.mark.on_cuda_too
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_equal_the_original(name, copied, fitted, digits):
    model = fitted(name)
    twin = copied(model)
    for one, two in zip(networks_of(model), networks_of(twin), strict=True):
        states = [network.net_.module_.state_dict() for network in (one, two)]
        assert states[0].keys() == states[1].keys()
        for key, value in states[0].items():
            assert_array_equal(value.cpu(), states[1][key].cpu())
        assert public_results(two) == public_results(one)
        assert two.net_.bests_ == one.net_.bests_
        assert list(two.net_.history) == list(one.net_.history)
        assert vars(two._monitor) == vars(one._monitor)
        assert vars(two.net_.schedule) == vars(one.net_.schedule)
        assert (two.net_.history is two.history_) == (one.net_.history is one.history_)
        assert (two.net_.monitor is two._monitor) == (one.net_.monitor is one._monitor)
        frozen = [p.requires_grad for p in one.net_.module_.parameters()]
        assert [p.requires_grad for p in two.net_.module_.parameters()] == frozen
    assert_array_equal(*[output_of(one, digits[0]) for one in (twin, model)])
    if hasattr(model, "predict_proba"):
        probabilities = model.predict_proba(digits[0])
        assert_array_equal(twin.predict_proba(digits[0]), probabilities)


@pytest.mark.parametrize("name", ["mlp", "deep", "nadam", "generator", "cnn", "lbfgs"])
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_warm_start_of_a_copy_equals_the_original(name, copied, digits):
    model = clone(MODELS[name]).set_params(warm_start=True).fit(*digits)
    twin = copied(model)
    for _ in range(2):
        model.fit(*digits)
        twin.fit(*digits)
    for a, b in zip(model.coefs_, twin.coefs_, strict=True):
        assert_array_equal(a, b)
    curves = [vars(m._monitor) for m in (model, twin)]
    assert curves[0] == curves[1]


class RecordingPickler(pickle.Pickler):
    """Records the classes and functions that a pickle needs."""

    def __init__(self, file):
        super().__init__(file)
        self.seen = set()

    def reducer_override(self, obj):
        self.seen.add(type(obj).__module__)
        if isinstance(obj, type) or callable(obj):
            self.seen.add(getattr(obj, "__module__", ""))
        return NotImplemented


def packages_in_pickle(model):
    """Return the modules whose classes and functions a pickle needs."""
    pickler = RecordingPickler(io.BytesIO())
    pickler.dump(model)
    return pickler.seen


def assert_no_engine(modules):
    assert {"torch", "skorch"}.isdisjoint(m.partition(".")[0] for m in modules)
    assert not any(module.startswith("skmlp.training") for module in modules)


@pytest.mark.parametrize("name", MODELS)
def test_pickle_of_a_fit_holds_no_torch_object(name, fitted):
    assert_no_engine(packages_in_pickle(fitted(name)))


@pytest.mark.on_cuda_too
@pytest.mark.parametrize("name", ["SoftmaxRegression", "deep", "prelu", "nadam", "cnn"])
def test_pickle_after_partial_fit_holds_no_torch_object(name, digits):
    model = clone(MODELS[name]).partial_fit(*digits, classes=np.arange(10))
    assert_no_engine(packages_in_pickle(model))


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"search"}))  # it records times
def test_hashes_of_equal_fits_and_copies_are_equal(name, digits):
    models = [clone(MODELS[name]).fit(*digits) for _ in range(2)]
    if name == "generator":  # the fits advance the generator that they share
        models[1] = models[0]
    expected = joblib.hash(models[0])
    copies = [copied(models[0]) for copied in (by_pickle, by_joblib, copy.deepcopy)]
    assert {joblib.hash(model) for model in (models[1], *copies)} == {expected}


def test_hashes_of_different_fits_differ(digits):
    hashes = {
        joblib.hash(MLPClassifier(5, max_iter=n, random_state=seed).fit(*digits))
        for n, seed in [(1, 0), (2, 0), (2, 1)]
    }
    assert len(hashes) == 3


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"search"}))
def test_skops_trusts_the_types_of_skmlp(name, fitted):
    io = pytest.importorskip("skops.io")
    names = set(io.get_untrusted_types(data=io.dumps(fitted(name))))
    assert names
    own = {"small_estimators.Perceptron"} if name.startswith("Torch") else set()
    assert names - set(TRUSTED_TYPES) == own


def test_usual_pickle_holds_durations(fitted):
    assert "dur" in by_pickle(fitted("mlp")).history_[0]
    assert "dur" not in pickle.loads(pickle.dumps(fitted("mlp"), 3)).history_[0]


@pytest.mark.parametrize("copied", [by_pickle, by_joblib, copy.deepcopy])
def test_memory_of_a_copy_is_that_of_the_weights(copied, digits):
    model = MLPClassifier((32,) * 12, batch_norm=True, **FEW).fit(*digits)
    module = copied(model).net_.module_
    tensors = module.state_dict().values()
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors}
    needed = sum(tensor.nbytes for tensor in tensors)
    alignment = 64 * len(tensors)
    assert sum(s.nbytes() for s in storages.values()) <= needed + alignment
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("changed", [{"activation": "tanh"}, {"hidden_layer_sizes": 3}])
@pytest.mark.parametrize("copied", [by_pickle, by_joblib, copy.deepcopy])
def test_copy_after_changed_parameters_predicts_as_before(copied, changed, digits):
    model = MLPClassifier(9, **FEW).fit(*digits)
    expected = model.predict_proba(digits[0])
    twin = copied(model.set_params(**changed))
    assert_array_equal(twin.predict_proba(digits[0]), expected)
    assert len(pickle.dumps(model)) < 40_000
    for name, value in changed.items():
        assert getattr(twin, name) == value


@pytest.mark.parametrize("copied", [by_pickle, copy.deepcopy])
def test_copies_refuse_parameters_that_were_changed_after_fit(copied, digits):
    model = MLPClassifier(9, warm_start=True, **FEW).fit(*digits)
    twin = copied(copied(model.set_params(beta_1=0.5)))
    for changed in (model, twin):
        with pytest.raises(ValueError, match=r"beta_1=0\.5 was 0\.9 in the fit before"):
            changed.partial_fit(*digits)
        changed.set_params(beta_1=0.9).partial_fit(*digits)
    for a, b in zip(model.coefs_, twin.coefs_, strict=True):
        assert_array_equal(a, b)


class CountEpochs(skorch.callbacks.Callback):
    """Counts epochs."""

    def __init__(self, start=0):
        self.start = start

    def initialize(self):
        self.count_ = self.start
        return self

    def on_epoch_end(self, net, **kwargs):
        self.count_ += 1


@pytest.mark.parametrize("copied", [by_pickle, copy.deepcopy])
def test_copies_hold_the_state_of_callbacks(copied, digits):
    model = MLPClassifier(5, callbacks=[CountEpochs()], **FEW).fit(*digits)
    twin = copied(model)
    assert [callback.count_ for callback in twin.callbacks_] == [2]
    assert twin.callbacks_[0] is twin.net_.callbacks_[1][1]
    twin.partial_fit(*digits)
    assert twin.callbacks_[0].count_ == 3
    assert model.callbacks_[0].count_ == 2


def test_shallow_copy_shares_the_network(fitted):
    model = fitted("mlp")
    twin = copy.copy(model)
    assert vars(twin) == vars(model)
    assert twin.net_ is model.net_


def test_read_only_arrays_of_a_memory_map_are_copied(tmp_path, digits, recwarn):
    model = MLPClassifier(60, warm_start=True, **FEW).fit(*digits)
    joblib.dump(model, tmp_path / "model")
    twin = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not [w for w in recwarn if "writable" in str(w.message)]
    twin.partial_fit(*digits)
    model.partial_fit(*digits)
    for a, b in zip(model.coefs_, twin.coefs_, strict=True):
        assert_array_equal(a, b)


def test_subclass_with_its_own_state_is_copied(digits):
    model = Labeled(5, **FEW).fit(*digits)
    for copied in (by_pickle, copy.deepcopy):
        twin = copied(model)
        assert twin.label_ == "restored"
        assert_array_equal(twin.predict(digits[0]), model.predict(digits[0]))


class Labeled(MLPClassifier):
    """Has its own `__getstate__` and `__setstate__`."""

    def __getstate__(self):
        return super().__getstate__() | {"label_": "stored"}

    def __setstate__(self, state):
        super().__setstate__(state)
        assert self.label_ == "stored"
        self.label_ = "restored"


@pytest.mark.parametrize("name", ["mlp", "cnn", "regressor"])
def test_unfitted_estimators_are_copied(name):
    model = MODELS[name]
    for copied in (by_pickle, copy.deepcopy, copy.copy):
        assert repr(copied(model)) == repr(model)


def test_pickle_sizes_are_those_of_the_weights(digits):
    """The largest part of each pickle is what was learned: weights, and encoders."""
    for name, model in MODELS.items():
        model = clone(model).fit(*digits)
        size = sum(
            tensor.nbytes
            for network in networks_of(model)
            for tensor in network.net_.module_.state_dict().values()
        )
        encoders = [vars(model).get(name) for name in ("encoder_", "bin_encoder_")]
        arrays = []
        pickle.dumps(encoders, protocol=5, buffer_callback=arrays.append)
        size += sum(array.raw().nbytes for array in arrays)
        factor = 3 if name == "nadam" else 1
        assert len(pickle.dumps(model)) < 1.1 * factor * size + 8_000, name


def test_infinite_values_are_restored(digits):
    model = MLPClassifier(5, n_iter_no_change=math.inf, **FEW).fit(*digits)
    assert by_pickle(model)._monitor.n_iter_no_change == math.inf


@pytest.mark.parametrize(
    "mode",
    [torch.inference_mode, torch.no_grad, lambda: torch.device("meta")],
    ids=["inference_mode", "no_grad", "meta"],
)
@pytest.mark.parametrize("copied", [by_pickle, copy.deepcopy])
def test_copies_made_in_a_mode_of_torch_train_further(copied, mode, digits):
    model = MLPClassifier(5, dropout=0.2, batch_norm=True, warm_start=True, **FEW)
    model.fit(*digits)
    with mode():
        twin = copied(model)
    twin.partial_fit(*digits)
    model.partial_fit(*digits)
    for a, b in zip(model.coefs_, twin.coefs_, strict=True):
        assert_array_equal(a, b)


def test_pickle_from_a_missing_device_predicts_on_the_cpu(digits):
    model = MLPClassifier(5, **FEW).fit(*digits)
    expected = model.predict_proba(digits[0])
    model.device_, model.net_.device = torch.device("xpu:7"), "xpu:7"
    twin = by_pickle(model)
    assert twin.device_ == model.device_
    assert_array_equal(twin.predict_proba(digits[0]), expected)
    twin.partial_fit(*digits)
    assert twin.device_.type == "cpu"


def test_loading_does_not_import_sympy(digits):
    """torch imports SymPy for some operations, which takes half a second."""
    model = MLPClassifier(5, batch_norm=True, **FEW).fit(*digits)
    program = (
        "import pickle, sys\n"
        "pickle.load(sys.stdin.buffer)\n"
        "print('sympy' in sys.modules)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps(model),
        capture_output=True,
        check=True,
    )
    assert child.stdout.decode().strip() == "False"
