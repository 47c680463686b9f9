"""Both sides of every row of the guide's table for users of scikit-learn are run."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.preprocessing import scale

from skmlp.augmentation import RandomAffine
from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    SoftmaxRegression,
)
from skmlp.persistence import from_sklearn


def of_row(cell):
    """Give a test the row of the guide with this left cell."""
    return pytest.mark.parametrize("row", [cell], indirect=True, ids=[cell])


def test_every_row_has_a_test(migration_tables, tested_rows):
    assert tested_rows == sorted(migration_tables["scikit-learn"])


def test_readme_repeats_rows_of_the_guide(migration_tables):
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (scikit-learn|skorch|Keras): (.*) \| (.*) \|$", text, flags=re.MULTILINE
    )
    packages = {name.split(",")[0] for name in migration_tables}
    assert {package for package, *_ in rows} == packages
    for package, left, right in rows:
        row = migration_tables[package][left]
        assert re.findall(r"`(.+?)`", right) == row.skmlp, left


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), y


@of_row("`from sklearn.neural_network import MLPClassifier, MLPRegressor`")
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_estimators_after_the_import_have_equal_parameters_and_weights(
    row, name, iris, fit_quietly
):
    namespaces = ({}, {})
    for namespace, code in zip(namespaces, row.peer + row.skmlp, strict=True):
        exec(code, namespace)
    peer, ours = (namespace[name] for namespace in namespaces)
    defaults = inspect.signature(ours).parameters
    for parameter in inspect.signature(peer).parameters.values():
        assert defaults[parameter.name].default == parameter.default, parameter.name
    fitted = [
        fit_quietly(model(max_iter=5, random_state=0), *iris) for model in (peer, ours)
    ]
    # The order of sums differs.
    for theirs, weights in zip(*(model.coefs_ for model in fitted), strict=True):
        np.testing.assert_allclose(weights, theirs, rtol=0, atol=1e-12)


@of_row("`LogisticRegression(C=C)`")
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_softmax_regression_gives_probabilities_of_logistic_regression(
    row, n_classes, C, iris, evaluate
):
    X, y = (array[: 50 * n_classes] for array in iris)
    peer = evaluate(row.peer[0], LogisticRegression=LogisticRegression, C=C)
    ours = evaluate(row.skmlp[0], SoftmaxRegression=SoftmaxRegression, C=C)
    peer.set_params(tol=1e-8, max_iter=1000).fit(X, y)
    ours.set_params(tol=1e-8, max_iter=1000, random_state=0).fit(X, y)
    # L-BFGS stops when a step lowers the loss by less than 2e-9 of it. Near a minimum,
    # the weights then differ by about the square root of that.
    np.testing.assert_allclose(
        ours.predict_proba(X), peer.predict_proba(X), rtol=0, atol=2e-4
    )


def test_alpha_of_mini_batches_stands_for_inverse_penalty_of_logistic_regression(
    iris, evaluate
):
    X, y = iris
    C, batch_size = 0.1, 30
    (code,) = re.findall(r"`alpha=(batch_size / .*)` then stands for `C`", guide())
    alpha = evaluate(code, batch_size=batch_size, X=X, C=C)
    peer = LogisticRegression(C=C).fit(X, y)
    ours = SoftmaxRegression(
        alpha=alpha,
        batch_size=batch_size,
        learning_rate="cosine",
        max_iter=200,
        n_iter_no_change=200,
        random_state=0,
    ).fit(X, y)
    # Batches in random order lead near the minimum as the learning rate falls to 0.
    np.testing.assert_allclose(
        ours.predict_proba(X), peer.predict_proba(X), rtol=0, atol=0.005
    )


def guide():
    """Return the guide with its lines joined."""
    text = (Path(__file__).parents[2] / "GUIDE.md").read_text(encoding="utf-8")
    return re.sub(r"\n +", " ", text)


@of_row("`GridSearchCV(model, grid)`")
def test_packed_grid_search_gives_scores_of_grid_search(row, iris, evaluate):
    model = MLPClassifier((8,), max_iter=30, tol=0.1, random_state=0)
    names = {"model": model, "grid": {"learning_rate_init": [0.001, 0.01, 0.1]}}
    peer = evaluate(row.peer[0], GridSearchCV=GridSearchCV, **names)
    ours = evaluate(row.skmlp[0], PackedGridSearchCV=PackedGridSearchCV, **names)
    for search in (peer, ours):
        search.fit(*iris)
    assert ours.best_params_ == peer.best_params_
    np.testing.assert_array_equal(
        ours.cv_results_["mean_test_score"], peer.cv_results_["mean_test_score"]
    )


@of_row("`cross_validate(model, X, y)`")
def test_packed_cross_validation_gives_scores_of_cross_validation(row, iris, evaluate):
    model = MLPClassifier((8,), max_iter=30, tol=0.1, random_state=0)
    names = {"model": model, "X": iris[0], "y": iris[1]}
    peer = evaluate(row.peer[0], cross_validate=cross_validate, **names)
    ours = evaluate(row.skmlp[0], packed_cross_validate=packed_cross_validate, **names)
    np.testing.assert_array_equal(ours["test_score"], peer["test_score"])


@of_row("a fitted `MLPClassifier`")
def test_network_of_sklearn_predicts_and_continues_equally(
    row, iris, evaluate, fit_quietly
):
    peer = evaluate(row.peer[0], MLPClassifier=sklearn.neural_network.MLPClassifier)
    # Without momentum, the fresh optimizer knows as much as the old one.
    model = peer(solver="sgd", momentum=0, max_iter=5, random_state=0)
    fit_quietly(model, *iris)
    model.set_params(shuffle=False)
    ours = evaluate(row.skmlp[0], from_sklearn=from_sklearn, model=model)
    np.testing.assert_allclose(
        ours.predict_proba(iris[0]), model.predict_proba(iris[0]), rtol=0, atol=1e-12
    )
    assert row.skmlp[1] == "partial_fit"
    ours.partial_fit(*iris)
    model.partial_fit(*iris)
    for weights, theirs in zip(ours.coefs_, model.coefs_, strict=True):
        np.testing.assert_allclose(weights, theirs, rtol=0, atol=1e-12)


@of_row("`early_stopping=True` alone")
def test_early_stopping_gives_scores_of_sklearn_with_either_validation_set(
    row, iris, arguments, evaluate, fit_quietly
):
    params = {"max_iter": 20, "n_iter_no_change": 20, "random_state": 0}
    peer = sklearn.neural_network.MLPClassifier(**arguments(row.peer[0]), **params)
    model = MLPClassifier(**arguments(row.skmlp[0]), **params)
    scores = [fit_quietly(m, *iris).validation_scores_ for m in (peer, model)]
    assert scores[0] == scores[1]
    X, X_val, y, y_val = train_test_split(*iris, test_size=0.1, random_state=1)
    names = {"model": model, "X": X, "y": y, "X_val": X_val, "y_val": y_val}
    with pytest.warns(match="Maximum iterations"):
        evaluate(f"model.{row.skmlp[1]}", **names)
    assert model.best_validation_score_ == model.score(X_val, y_val)
    assert not hasattr(peer, "best_epoch_")
    assert model.best_epoch_ == np.argmax(model.validation_scores_) + 1


@of_row("no dropout, no GPU, no images")
def test_parameters_that_sklearn_lacks_train(row, digits, evaluate, fit_quietly):
    names = {
        "MLPClassifier": MLPClassifier,
        "CNNClassifier": CNNClassifier,
        "RandomAffine": RandomAffine,
    }
    for code in row.skmlp:
        model = evaluate(code, **names).set_params(max_iter=2, random_state=0)
        assert fit_quietly(model, *digits).n_iter_ == 2
        given = re.findall(r"(\w+)=", code)
        assert given
        known = inspect.signature(sklearn.neural_network.MLPClassifier).parameters
        assert not set(given) & set(known)
