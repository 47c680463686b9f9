"""The autoencoder as a scikit-learn transformer, and as a network of skmlp."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmlp.inspection import TrainingCurveDisplay, WeightImageDisplay, summary
from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import MLPAutoencoder, MLPClassifier
from skmlp.persistence import load_model, save_model, to_torch
from skmlp.training.data import sources

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)

SMALL = MLPAutoencoder(3, 8, max_iter=5, random_state=0)


@pytest.mark.sklearn_checks
@parametrize_with_checks([MLPAutoencoder()])
def test_autoencoder_passes_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.sklearn_checks
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_dataframe_column_names_consistency,
        estimator_checks.check_n_features_in_after_fitting,
        estimator_checks.check_param_validation,
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
        estimator_checks.check_set_output_transform_pandas,
        estimator_checks.check_global_output_transform_pandas,
    ],
    ids=lambda check: check.__name__,
)
def test_autoencoder_passes_further_sklearn_check(check):
    with warnings.catch_warnings():
        # The checks fit with feature names and predict without them, on purpose.
        warnings.filterwarnings("ignore", message="X (has|does not have valid) feature")
        check("MLPAutoencoder", clone(SMALL))


def test_frames_of_codes_have_names():
    X, _ = load_iris(return_X_y=True, as_frame=True)
    model = clone(SMALL).set_output(transform="pandas").fit(X)
    names = ["mlpautoencoder0", "mlpautoencoder1", "mlpautoencoder2"]
    codes = model.transform(X)
    assert codes.columns.tolist() == names == model.get_feature_names_out().tolist()
    assert model.inverse_transform(codes).shape == X.shape
    assert_array_equal(clone(SMALL).fit_transform(X), clone(SMALL).fit(X).transform(X))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_packed_search_scores_as_one_by_one(dropout, early_stopping, digits):
    X, _ = digits
    model = clone(SMALL).set_params(dropout=dropout, early_stopping=early_stopping)
    grid = {"learning_rate_init": [0.001, 0.01], "alpha": [0.1, 1.0]}
    if not dropout:
        grid |= {"n_components": [2, 5]}
    packed = PackedGridSearchCV(model, grid, cv=3, error_score="raise").fit(X)
    single = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X)
    scores = packed.cv_results_["mean_test_score"]
    assert_allclose(scores, single.cv_results_["mean_test_score"], rtol=0, atol=1e-8)
    assert len(set(scores)) == len(scores)
    assert packed.best_params_ == single.best_params_


def test_autoencoders_of_several_widths_train_in_one_pack(digits, monkeypatch):
    from skmlp.neural_network._packs import packed_fit

    sizes, train_pack = [], packed_fit.train_pack

    def record(runs, *args):
        sizes.append(len(runs))
        return train_pack(runs, *args)

    monkeypatch.setattr(packed_fit, "train_pack", record)
    grid = {"n_components": [4, 5], "learning_rate_init": [0.001, 0.01]}
    model = clone(SMALL).set_params(batch_size=20)
    PackedGridSearchCV(model, grid, cv=2, refit=False).fit(digits[0])
    assert sizes == [8]


def test_integer_images_are_packed(digits):
    X = (16 * digits[0]).astype(np.uint8).reshape(-1, 8, 8)
    grid = {"learning_rate_init": [0.001, 0.01]}
    packed = PackedGridSearchCV(SMALL, grid, cv=2, error_score="raise").fit(X)
    single = GridSearchCV(SMALL, grid, cv=2, error_score="raise").fit(X)
    assert_allclose(
        packed.cv_results_["mean_test_score"],
        single.cv_results_["mean_test_score"],
        rtol=1e-3,
    )


def test_noisy_autoencoders_are_searched_one_by_one(digits):
    grid = {"noise": [0.0, 0.1]}
    packed = PackedGridSearchCV(SMALL, grid, cv=2, error_score="raise").fit(digits[0])
    single = GridSearchCV(SMALL, grid, cv=2, error_score="raise").fit(digits[0])
    assert_allclose(
        packed.cv_results_["mean_test_score"],
        single.cv_results_["mean_test_score"],
        atol=1e-8,
    )


def test_pipeline_that_ends_in_autoencoder_is_searched_and_validated(digits):
    X, _ = digits
    pipeline = make_pipeline(StandardScaler(), SMALL)
    grid = {"mlpautoencoder__learning_rate_init": [0.001, 0.01]}
    packed = PackedGridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X)
    single = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X)
    assert_allclose(
        packed.cv_results_["mean_test_score"],
        single.cv_results_["mean_test_score"],
        atol=1e-8,
    )
    assert packed.transform(X).shape == (len(X), 3)
    scores = packed_cross_validate(pipeline, X, cv=2)["test_score"]
    assert (scores < 0).all()


def test_codes_feed_a_classifier(digits):
    X, y = digits
    pipeline = make_pipeline(clone(SMALL).set_params(max_iter=50), LogisticRegression())
    assert pipeline.fit(X, y).score(X, y) > 0.3


def test_encoder_weights_begin_a_classifier(digits):
    X, y = digits
    model = clone(SMALL).fit(X)
    classifier = MLPClassifier(
        8, init_from=FrozenEstimator(model), frozen_layers=[0], max_iter=2
    ).fit(X, y)
    assert_array_equal(classifier.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize(
    "params", [{}, {"batch_norm": True, "code_activation": "relu"}]
)
def test_copies_of_autoencoder_transform_identically(params, digits, tmp_path):
    X = digits[0].reshape(-1, 8, 8)
    model = clone(SMALL).set_params(**params, noise=0.1).fit(X)
    save_model(model, tmp_path / "model.skmlp")
    for copied in (
        pickle.loads(pickle.dumps(model)),
        load_model(tmp_path / "model.skmlp"),
    ):
        codes = copied.transform(X)
        assert_array_equal(codes, model.transform(X))
        assert_array_equal(
            copied.inverse_transform(codes), model.inverse_transform(codes)
        )
        assert copied.score(X) == model.score(X)


def test_partial_fit_and_warm_start_continue(digits, assert_equal_weights):
    X, _ = digits
    model = clone(SMALL).partial_fit(X)
    model.partial_fit(X)
    other = clone(SMALL).set_params(max_iter=2).fit(X)
    assert len(model.loss_curve_) == len(other.loss_curve_) == 2
    warm = clone(SMALL).set_params(warm_start=True).fit(X)
    first = warm.score(X)
    assert warm.fit(X).score(X) > first
    with pytest.raises(ValueError, match="n_components=4 was 3 in the fit before"):
        warm.set_params(n_components=4).fit(X)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_killed_autoencoder_resumes(noise, digits, interrupt_at, tmp_path, request):
    X, _ = digits
    params = {"noise": noise, "early_stopping": True, "refit_full": True}
    model = clone(SMALL).set_params(**params)
    whole = clone(model).fit(X)
    file = tmp_path / "checkpoint"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clone(model).set_params(checkpoint=file, callbacks=[interrupt_at(3)]).fit(X)
    resumed = clone(model).set_params(checkpoint=file).fit(X)
    assert_array_equal(resumed.transform(X), whole.transform(X))
    with pytest.raises(ValueError, match="is of another fit: X was"):
        clone(model).set_params(checkpoint=file).fit(X[:200])


@pytest.mark.parametrize("early_stopping", [False, True])
def test_sparse_samples_are_reconstructed_as_dense_ones(early_stopping, digits):
    X, _ = digits
    sparse = scipy.sparse.csr_matrix(X)
    model = clone(SMALL).set_params(early_stopping=early_stopping)
    dense = clone(model).fit(X)
    model.fit(sparse)
    assert_allclose(model.transform(sparse), dense.transform(X), atol=1e-12)
    assert_allclose(model.score(sparse), dense.score(X), rtol=1e-10)
    assert_allclose(model.loss_curve_, dense.loss_curve_, rtol=1e-12)


def test_samples_outside_memory_are_reconstructed(digits, tmp_path, monkeypatch):
    X, _ = digits
    model = clone(SMALL).set_params(shuffle=False, record_train_score=True)
    expected = clone(model).fit(X, X_val=X[:100])
    monkeypatch.setattr(sources, "WINDOW_BYTES", 2**14)
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 2**12)
    mapped = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X.shape)
    mapped[:] = X
    model.fit(mapped, X_val=mapped[:100])
    assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-10)
    assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-10)
    assert_allclose(
        [epoch["train_score"] for epoch in model.history_],
        [epoch["train_score"] for epoch in expected.history_],
        rtol=1e-10,
    )
    assert_allclose(model.transform(mapped), expected.transform(X), atol=1e-10)
    assert_allclose(model.score(mapped), expected.score(X), rtol=1e-10)
    # The split of a file is read in the order of its rows.
    split = clone(SMALL).set_params(early_stopping=True).fit(mapped)
    assert len(split.validation_scores_) == split.n_iter_


def test_read_only_and_tensor_samples_are_accepted(digits):
    X = digits[0].copy()
    expected = clone(SMALL).fit(X).transform(X)
    X.flags.writeable = False
    assert_array_equal(clone(SMALL).fit(X).transform(X), expected)


def test_own_scorer_validates_the_autoencoder(digits):
    X, _ = digits

    def largest_error(estimator, X, y=None):
        codes = estimator.transform(X)
        return -np.abs(estimator.inverse_transform(codes) - X).max()

    model = clone(SMALL).set_params(scoring=largest_error).fit(X[:200], X_val=X[200:])
    assert_allclose(max(model.validation_scores_), largest_error(model, X[200:]))


def test_summary_panel_and_pictures_show_the_autoencoder(digits):
    X, _ = digits
    rows = [row.name for row in summary(SMALL, X).rows if row.n_parameters]
    assert rows == ["dense1", "code", "decoder1", "output"]
    model = clone(SMALL).fit(X)
    assert summary(model).n_parameters == model.n_parameters_
    assert "decoder1" in model._repr_html_()
    pytest.importorskip("matplotlib").use("agg")
    assert len(WeightImageDisplay.from_estimator(model).images) == 8
    assert len(TrainingCurveDisplay.from_estimator(model).curves) == 1


def test_exported_network_reconstructs(digits):
    import torch

    X, _ = digits
    model = clone(SMALL).fit(X)
    with torch.no_grad():
        outputs = to_torch(model)(torch.from_numpy(X)).numpy()
    assert_allclose(outputs, model.inverse_transform(model.transform(X)), atol=1e-12)


def test_frame_columns_are_checked():
    X = pd.DataFrame(np.eye(6, 4), columns=list("abcd"))
    model = clone(SMALL).fit(X)
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(X[["b", "a", "c", "d"]])
