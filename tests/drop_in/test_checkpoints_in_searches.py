"""scikit-learn's searches and cross-validations refuse a checkpoint of one fit."""

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = scale(load_iris().data), load_iris().target
REFUSED = r"checkpoint='.*fit' of {} serves one fit, but several are to be fitted"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit"


def mlp(**params):
    return MLPClassifier(4, max_iter=2, random_state=0, **params)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_refuses_a_checkpoint_at_once(path, n_jobs):
    search = GridSearchCV(mlp(checkpoint=path), {"alpha": [0.1, 1]}, n_jobs=n_jobs)
    with pytest.raises(ValueError, match=REFUSED.format("MLPClassifier")) as error:
        search.fit(X, Y)
    assert "All the 10 fits failed" in str(error.value)
    assert not path.exists()


@pytest.mark.parametrize(
    "model",
    [
        MLPRegressor(hidden_layer_sizes=3, max_iter=2),
        CNNClassifier(2, hidden_layer_sizes=3, max_iter=1),
        SoftmaxRegression(max_iter=2),
        EnsembleClassifier(mlp(), 2, random_state=0),
        make_pipeline(StandardScaler(), mlp()),
        TransformedTargetRegressor(MLPRegressor(hidden_layer_sizes=3, max_iter=2)),
        PackedGridSearchCV(mlp(), {"alpha": [0.1, 1]}, cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_cross_validation_refuses_every_estimator(model, path):
    name = next(k for k in model.get_params() if k.rpartition("__")[2] == "checkpoint")
    if isinstance(model, EnsembleClassifier | PackedGridSearchCV):
        name = "checkpoint"
    model = model.set_params(**{name: str(path)})
    with pytest.raises(ValueError, match=REFUSED.format(r"\w+")):
        cross_val_score(model, X, Y, cv=3)
    assert not path.exists()


@pytest.mark.parametrize(
    "validate",
    [
        lambda model: cross_val_predict(model, X, Y, cv=3),
        lambda model: learning_curve(model, X, Y, cv=3, train_sizes=[50, 100]),
        lambda model: packed_cross_validate(
            TransformedTargetRegressor(model), X, Y, cv=3
        ),
    ],
    ids=["cross_val_predict", "learning_curve", "packed_cross_validate"],
)
def test_other_functions_refuse_a_checkpoint(validate, path):
    with pytest.raises(ValueError, match=REFUSED.format("MLPRegressor")):
        validate(MLPRegressor(hidden_layer_sizes=3, max_iter=2, checkpoint=path))
    assert not path.exists()


def test_packed_search_refuses_checkpoints_among_candidates(tmp_path):
    grid = {"checkpoint": [tmp_path / "a", tmp_path / "b"]}
    with pytest.raises(ValueError, match="of MLPClassifier is one file, but several"):
        PackedGridSearchCV(mlp(), grid, cv=2).fit(X, Y)
    assert list(tmp_path.iterdir()) == []


class OwnFile(MLPClassifier):
    """Gives every fit its own file."""

    folder = None
    fits = 0

    def fit(self, X, y):
        OwnFile.fits += 1
        path = self.folder / str(OwnFile.fits)
        inner = MLPClassifier(4, max_iter=2, random_state=0, checkpoint=path)
        vars(self).update(vars(inner.fit(X, y)))
        self.checkpoint = None
        return self


def test_files_of_their_own_are_accepted_in_cross_validation(tmp_path):
    OwnFile.folder, OwnFile.fits = tmp_path, 0
    scores = cross_val_score(OwnFile(), X, Y, cv=3, error_score="raise")
    assert np.isfinite(scores).all()
    assert {path.name for path in tmp_path.iterdir()} == {"1", "2", "3"}


def test_jobs_with_files_of_their_own_are_accepted(tmp_path):
    models = Parallel(2, backend="threading")(
        delayed(mlp(checkpoint=tmp_path / str(i)).fit)(X, Y) for i in range(2)
    )
    np.testing.assert_array_equal(models[0].coefs_[0], models[1].coefs_[0])


def test_target_transformers_around_one_fit_are_accepted(path):
    model = TransformedTargetRegressor(
        MLPRegressor(hidden_layer_sizes=3, max_iter=2, checkpoint=path)
    )
    model.fit(X, Y)
    assert path.exists()
