"""Pickles of earlier versions load, predict and train further.

`tests/persistence/data/write_pickles.py` wrote them and tells what they hold.
"""

import lzma
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

FILES = sorted((Path(__file__).parent / "data" / "pickles").glob("*.pkl.xz"))


@pytest.fixture(params=FILES, ids=[path.name.partition(".")[0] for path in FILES])
def content(request):
    """Return the dict in a file."""
    return pickle.loads(lzma.decompress(request.param.read_bytes()))


def predict(model, X):
    """Return probabilities, or what `predict` returns."""
    if getattr(model, "loss", "") in ("hinge", "huber"):
        return model.predict(X)
    return model.predict_proba(X)


def test_there_are_pickles_of_two_versions():
    names = {path.name.partition("-")[0] for path in FILES}
    assert names == {"modules", "views"}


def test_old_pickle_predicts(content):
    model = content["model"]
    first = model.estimators_[0] if hasattr(model, "estimators_") else model
    weights = [*first.coefs_, *first.intercepts_]
    for a, b in zip(weights, content["coefs"], strict=True):
        assert_array_equal(a, b)
    assert_allclose(predict(model, content["X"]), content["predictions"], rtol=1e-5)


def test_old_pickle_is_pickled_again(content):
    again = pickle.loads(pickle.dumps(content["model"]))
    for model in (again, pickle.loads(pickle.dumps(again))):
        assert_array_equal(
            predict(model, content["X"]), predict(content["model"], content["X"])
        )


def test_old_pickle_continues(content):
    if content["continued"] is None:
        return
    model = content["model"].partial_fit(content["X"], content["y"])
    assert_allclose(predict(model, content["X"]), content["continued"], rtol=1e-4)


def test_parameters_of_old_pickles_have_storages_of_their_own(content):
    model = content["model"]
    for network in getattr(model, "estimators_", [model]):
        for parameter in network.net_.module_.parameters():
            assert parameter.untyped_storage().nbytes() == parameter.nbytes


def test_old_pickle_has_no_parts_of_a_training(content):
    model = content["model"]
    for network in getattr(model, "estimators_", [model]):
        assert network.net_.optimizer_ is None
        assert "flat_" not in vars(network.net_)
        assert np.isfinite(network.loss_)
