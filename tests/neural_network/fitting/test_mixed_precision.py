"""Mixed precision trains nearly as float32 does, and is repeatable."""

import numpy as np
import pytest
import torch

from skmlp.neural_network import CNNClassifier, MLPClassifier
from skmlp.training.data.device_data import DeviceData

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Wide enough for products in bfloat16.
NETWORK = {"hidden_layer_sizes": (700,), "batch_size": 100, "max_iter": 5}


@pytest.fixture
def gathered_dtypes(monkeypatch):
    """Return the set of dtypes of the batches that are gathered."""
    dtypes, gather = set(), DeviceData.gather

    def watch(*args):
        batch = gather(*args)
        dtypes.add(batch[0].dtype)
        return batch

    monkeypatch.setattr(DeviceData, "gather", watch)
    return dtypes


@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier(**NETWORK, random_state=0),
        MLPClassifier(**NETWORK, early_stopping=True, dropout=0.1, random_state=0),
        CNNClassifier((16,), batch_size=100, max_iter=5, random_state=0),
    ],
    ids=["mlp", "dropout", "cnn"],
)
def test_mixed_precision_learns_as_float32(model, digits32):
    plain = model.fit(*digits32)
    loss, score = plain.loss_curve_, plain.score(*digits32)
    mixed = model.set_params(amp=True).fit(*digits32)
    assert mixed.loss_curve_ != loss
    np.testing.assert_allclose(mixed.loss_curve_, loss, rtol=0.05)
    assert mixed.score(*digits32) == pytest.approx(score, abs=0.02)


def test_mixed_precision_is_repeatable(digits32):
    model = MLPClassifier(**NETWORK, amp=True, random_state=0)
    first = model.fit(*digits32).coefs_
    assert all(map(np.array_equal, first, model.fit(*digits32).coefs_))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_features_are_gathered_in_bfloat16(dtype, digits32, gathered_dtypes):
    X, y = digits32
    X = (X * 16).astype(dtype)
    before = X.copy()
    MLPClassifier(**NETWORK, amp=True, random_state=0).fit(X, y)
    assert gathered_dtypes == {torch.bfloat16}
    assert np.array_equal(X, before)


def test_validation_set_stays_in_float32(digits32, gathered_dtypes):
    model = MLPClassifier(**NETWORK, amp=True, early_stopping=True, random_state=0)
    model.fit(*digits32)
    assert gathered_dtypes == {torch.bfloat16, torch.float32}
