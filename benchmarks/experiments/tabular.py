"""`tabular`: tables of numbers, five folds, every estimator with its defaults.

No source reports figures for this protocol. The data sets are breast cancer, wine,
iris, digits, and synthetic districts that resemble the California housing data. All
estimators follow a StandardScaler that is fitted on the training samples of each fold.
The two MLPs have the same parameters and seeds, so they are the same network and their
columns must agree. scikit-learn's MLP has no ensemble.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import BUNDLED, Experiment
from benchmarks.definitions.model import Component, Model

SCALE = (Component("sklearn.preprocessing.StandardScaler"),)
OURS = Component("skmlp.neural_network.MLPClassifier")

TABULAR = Experiment(
    name="tabular",
    summary="LR, two MLPs, an ensemble, gradient boosting on five tables; five folds",
    models=(
        Model("lr", Component("sklearn.linear_model.LogisticRegression"), SCALE),
        Model("mlp", OURS, SCALE),
        Model(
            "mlp-scikit-learn",
            Component("sklearn.neural_network.MLPClassifier"),
            SCALE,
        ),
        Model(
            "5-mlp",
            Component(
                "skmlp.neural_network.EnsembleClassifier",
                {"estimator": OURS, "n_estimators": 5},
            ),
            SCALE,
        ),
        Model(
            "gradient-boosting",
            Component("sklearn.ensemble.HistGradientBoostingClassifier"),
            SCALE,
        ),
    ),
    dataset=BUNDLED,
    quick_dataset=BUNDLED,
    runner="benchmarks.running.cross_validation",
    layout="benchmarks.tables.dataset_table",
    pictures=(),
)
