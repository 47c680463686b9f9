"""Scores over training set sizes in TrainSizeCurveDisplay."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline

from skmlp.inspection import TrainSizeCurveDisplay
from skmlp.model_selection import TrainSizeSplit
from skmlp.neural_network import SoftmaxRegression
from skmlp.preprocessing import PixelScaler

SIZES = [10, 100, 1000]
SCORES = np.array([[0.5, 0.6, 0.7], [0.7, 0.8, 0.8], [0.9, 0.9, 0.9]])


def band_edges(display, name):
    """Lowest and highest value of the band at each size."""
    vertices = display.bands_[name].get_paths()[0].vertices
    return [
        (values.min(), values.max())
        for size in display.train_sizes
        for values in [vertices[vertices[:, 0] == size, 1]]
    ]


def test_lines_show_means_over_a_log_axis():
    display = TrainSizeCurveDisplay(train_sizes=SIZES, scores={"a": SCORES}).plot()
    assert display.ax_.get_xscale() == "log"
    line = display.lines_["a"]
    np.testing.assert_array_equal(line.get_xdata(), SIZES)
    np.testing.assert_allclose(line.get_ydata(), SCORES.mean(axis=1))
    ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert ticks == ["10", "100", "1,000"]
    assert "log" in display.ax_.get_xlabel()


@pytest.mark.parametrize("band", ["std", "range"])
def test_bands_show_the_spread_over_seeds(band):
    display = TrainSizeCurveDisplay(train_sizes=SIZES, scores={"a": SCORES})
    display.plot(band=band)
    mean, std = SCORES.mean(axis=1), SCORES.std(axis=1, ddof=1)
    expected = np.column_stack(
        [mean - std, mean + std]
        if band == "std"
        else [SCORES.min(axis=1), SCORES.max(axis=1)]
    )
    np.testing.assert_allclose(band_edges(display, "a"), expected, atol=1e-12)
    assert "of 3 seeds" in display.ax_.get_legend().get_title().get_text()


def test_one_seed_has_no_band():
    display = TrainSizeCurveDisplay(train_sizes=SIZES, scores={"a": SCORES[:, :1]})
    assert display.plot().bands_ == {}


def test_models_differ_in_color_and_marker():
    display = TrainSizeCurveDisplay(
        train_sizes=SIZES, scores={"a": SCORES, "b": SCORES}, score_name="Accuracy"
    ).plot()
    a, b = display.lines_["a"], display.lines_["b"]
    assert a.get_color() != b.get_color()
    assert a.get_marker() != b.get_marker()
    assert display.ax_.get_ylabel() == "Accuracy"


def test_estimator_is_trained_on_every_size_with_every_seed(digits):
    X, y = digits
    cv = TrainSizeSplit((0.2, 1.0), random_state=7)
    model = make_pipeline(
        PixelScaler(pixel_max=1), SoftmaxRegression(solver="lbfgs", tol=0.1)
    )
    display = TrainSizeCurveDisplay.from_estimator(
        {"lr": model}, X, y, cv=cv, seeds=(3, 5), scoring="accuracy"
    )
    np.testing.assert_array_equal(display.train_sizes, [48, 240])
    assert display.score_name == "Accuracy"
    for column, seed in enumerate((3, 5)):
        splits = TrainSizeSplit((0.2, 1.0), random_state=seed).split(X, y)
        for row, (train, test) in enumerate(splits):
            model.set_params(softmaxregression__random_state=seed)
            expected = model.fit(X[train], y[train]).score(X[test], y[test])
            assert display.scores["lr"][row, column] == expected
    assert cv.random_state == 7


class Seed(ClassifierMixin, BaseEstimator):
    """Its score is its seed."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def score(self, X, y):
        return self.random_state


def test_seeds_reach_the_estimator():
    X, y = np.zeros((20, 2)), np.arange(20) % 2
    model = Seed()
    display = TrainSizeCurveDisplay.from_estimator(
        model, X, y, cv=TrainSizeSplit((0.5, 1.0)), seeds=(4, 6, 9), name="seed"
    )
    np.testing.assert_array_equal(display.scores["seed"], [[4, 6, 9]] * 2)
    assert model.random_state is None


@pytest.mark.parametrize(("sizes", "rotation"), [([9, 99, 999], 0), ([9, 90, 99], 45)])
def test_close_labels_are_slanted(sizes, rotation):
    display = TrainSizeCurveDisplay(train_sizes=sizes, scores={"a": SCORES}).plot()
    assert display.ax_.get_xticklabels()[0].get_rotation() == rotation


def test_invalid_scores_and_band_raise():
    with pytest.raises(ValueError, match=r"scores\['a'\] has shape \(3,\)"):
        TrainSizeCurveDisplay(train_sizes=SIZES, scores={"a": [1, 2, 3]})
    with pytest.raises(ValueError, match="band='ci' must be"):
        TrainSizeCurveDisplay(train_sizes=SIZES, scores={"a": SCORES}).plot(band="ci")
