"""Tuners choose the parameters of our networks."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import MLPClassifier

FAST = {"hidden_layer_sizes": 8, "max_iter": 30, "batch_size": 20, "random_state": 0}


def test_imbalanced_learn_resamples_in_plain_and_packed_searches(cancer):
    pytest.importorskip("imblearn", reason="imbalanced-learn is not installed")
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline

    X, _, y, _ = cancer
    model = make_pipeline(SMOTE(random_state=0), MLPClassifier(**FAST, dtype="float64"))
    grid = {"mlpclassifier__learning_rate_init": [0.003, 0.03]}
    plain = GridSearchCV(model, grid, cv=3, scoring="balanced_accuracy").fit(X, y)
    packed = PackedGridSearchCV(model, grid, cv=3, scoring="balanced_accuracy")
    packed.fit(X, y)
    assert plain.best_params_ == packed.best_params_
    assert packed.best_score_ == pytest.approx(plain.best_score_, abs=1e-8)
    assert packed.best_score_ > 0.93


def test_optuna_prunes_trials_without_promise(iris):
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")
    integration = pytest.importorskip(
        "optuna_integration.skorch", reason="optuna-integration is not installed"
    )
    X, X_test, y, y_test = iris
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        rate = trial.suggest_categorical("learning_rate_init", [1e-6, 0.01, 0.02])
        pruning = integration.SkorchPruningCallback(trial, "valid_acc")
        model = MLPClassifier(**FAST, learning_rate_init=rate, callbacks=[pruning])
        model.set_params(n_iter_no_change=30)
        return model.fit(X, y, X_val=X_test, y_val=y_test).best_validation_score_

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.GridSampler(
            {"learning_rate_init": [0.02, 0.01, 1e-6]}, seed=1
        ),
        pruner=optuna.pruners.ThresholdPruner(lower=0.7, n_warmup_steps=25),
    )
    study.optimize(objective, n_trials=3)
    states = {t.params["learning_rate_init"]: t.state.name for t in study.trials}
    assert states == {0.02: "COMPLETE", 0.01: "COMPLETE", 1e-6: "PRUNED"}
    assert study.best_value > 0.9


def test_optunas_search_chooses_as_a_search_of_sklearn(iris):
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")
    sklearn_module = pytest.importorskip(
        "optuna_integration.sklearn", reason="optuna-integration is not installed"
    )
    X, X_test, y, y_test = iris
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {
        "learning_rate_init": optuna.distributions.FloatDistribution(
            1e-3, 0.1, log=True
        )
    }
    search = sklearn_module.OptunaSearchCV(
        MLPClassifier(**FAST), space, n_trials=4, cv=3, random_state=0
    )
    assert search.fit(X, y).score(X_test, y_test) > 0.85


def test_bayes_search_of_scikit_optimize_finds_a_learning_rate(iris):
    skopt = pytest.importorskip("skopt", reason="scikit-optimize is not installed")
    X, X_test, y, y_test = iris
    search = skopt.BayesSearchCV(
        MLPClassifier(**FAST),
        {"learning_rate_init": (0.003, 0.1, "log-uniform")},
        n_iter=5,
        cv=3,
        random_state=0,
    )
    assert search.fit(X, y).score(X_test, y_test) > 0.85


def test_hyperopt_minimizes_the_error(iris):
    hyperopt = pytest.importorskip("hyperopt", reason="hyperopt is not installed")
    X, _, y, _ = iris

    def error(rate):
        model = MLPClassifier(**FAST, learning_rate_init=rate)
        return 1 - cross_val_score(model, X, y, cv=3).mean()

    best = hyperopt.fmin(
        error,
        hyperopt.hp.loguniform("rate", np.log(1e-4), np.log(0.1)),
        algo=hyperopt.tpe.suggest,
        max_evals=5,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
    assert error(best["rate"]) < 0.2


def test_bayesian_optimization_maximizes_the_accuracy(iris):
    bayes_opt = pytest.importorskip(
        "bayes_opt", reason="bayesian-optimization is not installed"
    )
    X, _, y, _ = iris

    def accuracy(exponent):
        model = MLPClassifier(**FAST, learning_rate_init=10**exponent)
        return cross_val_score(model, X, y, cv=3).mean()

    optimizer = bayes_opt.BayesianOptimization(
        accuracy, {"exponent": (-4, -1)}, random_state=0, verbose=0
    )
    optimizer.maximize(init_points=3, n_iter=2)
    assert optimizer.max["target"] > 0.85
