"""Kernel matrices are split by rows and columns, as scikit-learn splits them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris
from sklearn.decomposition import KernelPCA
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KernelCenterer, StandardScaler, scale

from skmlp.model_selection import (
    PackedGridSearchCV,
    PackedHalvingGridSearchCV,
    packed_cross_validate,
)
from skmlp.neural_network import EnsembleClassifier, MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = scale(load_iris().data), load_iris().target
KERNEL = rbf_kernel(X)
NETWORK = MLPClassifier(5, max_iter=20, learning_rate_init=0.1, random_state=0)
KERNEL_PCA = KernelPCA(4, kernel="precomputed", eigen_solver="dense", random_state=0)
PIPELINES = [
    make_pipeline(KERNEL_PCA, NETWORK),
    make_pipeline(KernelCenterer(), KERNEL_PCA, NETWORK),
]


@pytest.mark.parametrize("model", PIPELINES, ids=["pca", "centered"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_validation_scores_equal_sklearns(model, weighted):
    options = {"cv": 3, "return_train_score": True, "scoring": "neg_log_loss"}
    if weighted:
        weight = np.linspace(0.1, 1, len(Y))
        options["params"] = {"mlpclassifier__sample_weight": weight}
    ours = packed_cross_validate(model, KERNEL, Y, **options)
    theirs = cross_validate(model, KERNEL, Y, **options)
    for name in ("test_score", "train_score"):
        assert_allclose(ours[name], theirs[name], rtol=1e-6)


def test_search_may_mix_kernels_and_features(capsys):
    """Only some candidates take X as a kernel matrix."""
    model = make_pipeline(KERNEL_PCA, StandardScaler(), NETWORK)
    grid = {
        "kernelpca__kernel": ["precomputed", "linear"],
        "mlpclassifier__alpha": [1e-3, 1.0],
    }
    options = {"cv": 3, "scoring": "neg_log_loss"}
    ours = PackedGridSearchCV(model, grid, verbose=1, **options).fit(KERNEL, Y)
    assert "12 of 12 fits were trained in packs" in capsys.readouterr().out
    theirs = GridSearchCV(model, grid, **options).fit(KERNEL, Y)
    for name in ("mean_test_score", "std_test_score"):
        assert_allclose(ours.cv_results_[name], theirs.cv_results_[name], rtol=1e-6)
    assert ours.best_params_ == theirs.best_params_


def test_halving_splits_kernels():
    search = PackedHalvingGridSearchCV(
        PIPELINES[0],
        {"mlpclassifier__alpha": [1e-3, 1.0]},
        resource="mlpclassifier__max_iter",
        max_resources=20,
        cv=3,
        warm_start=True,
        random_state=0,
    )
    assert search.fit(KERNEL, Y).best_score_ > 0.8


def test_kernel_in_a_file_is_split_like_one_in_memory(tmp_path):
    stored = np.memmap(tmp_path / "kernel", KERNEL.dtype, "w+", shape=KERNEL.shape)
    stored[:] = KERNEL
    ours = packed_cross_validate(PIPELINES[0], stored, Y, cv=3)["test_score"]
    theirs = cross_validate(PIPELINES[0], KERNEL, Y, cv=3)["test_score"]
    assert_allclose(ours, theirs)


def test_matrices_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match="X should be a square kernel matrix"):
        packed_cross_validate(PIPELINES[0], KERNEL[:, :9], Y, cv=3)


def test_ensembles_of_pairwise_members_are_pairwise():
    model = EnsembleClassifier(PIPELINES[0], 2, random_state=0)
    assert model.__sklearn_tags__().input_tags.pairwise
    assert not EnsembleClassifier().__sklearn_tags__().input_tags.pairwise
    for validate in (cross_validate, packed_cross_validate):
        scores = validate(model, KERNEL, Y, cv=3, error_score="raise")["test_score"]
        assert scores.mean() > 0.8
