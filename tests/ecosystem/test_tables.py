"""Tables and encoders of other packages before our networks."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import MLPClassifier

NETWORK = MLPClassifier(16, max_iter=150, learning_rate_init=0.02, random_state=0)


def test_skrub_encodes_a_table_for_a_network(flights):
    skrub = pytest.importorskip("skrub", reason="skrub is not installed")
    table, late = flights
    model = skrub.tabular_pipeline(NETWORK)
    assert cross_val_score(model, table, late, cv=3).mean() > 0.85


def test_polars_frames_give_the_predictions_of_pandas(iris):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X, X_test, y, _ = iris
    columns = ["a", "b", "c", "d"]
    of_polars = make_pipeline(StandardScaler().set_output(transform="polars"), NETWORK)
    of_polars.fit(polars.DataFrame(X, schema=columns), polars.Series(y))
    of_pandas = make_pipeline(StandardScaler().set_output(transform="pandas"), NETWORK)
    of_pandas.fit(pd.DataFrame(X, columns=columns), pd.Series(y))
    assert list(of_polars[-1].feature_names_in_) == columns
    np.testing.assert_array_equal(
        of_polars.predict_proba(polars.DataFrame(X_test, schema=columns)),
        of_pandas.predict_proba(pd.DataFrame(X_test, columns=columns)),
    )


def test_arrow_tables_give_the_predictions_of_arrays(iris):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    X, X_test, y, _ = iris
    table, test = (pyarrow.table(dict(zip("abcd", d.T, strict=True))) for d in iris[:2])
    model = MLPClassifier(8, max_iter=20, random_state=0)
    of_arrow = model.fit(table, pyarrow.array(y)).predict_proba(test)
    np.testing.assert_array_equal(of_arrow, model.fit(X, y).predict_proba(X_test))


def test_feature_engine_imputes_and_encodes(flights):
    pytest.importorskip("feature_engine", reason="feature-engine is not installed")
    from feature_engine.encoding import OneHotEncoder
    from feature_engine.imputation import MeanMedianImputer

    table, late = flights
    model = make_pipeline(
        MeanMedianImputer(variables=["distance"]),
        OneHotEncoder(variables=["airline", "weather"]),
        StandardScaler(),
        NETWORK,
    )
    assert cross_val_score(model, table, late, cv=3).mean() > 0.85


def test_category_encoders_encode_by_the_target(flights):
    encoders = pytest.importorskip(
        "category_encoders", reason="category_encoders is not installed"
    )
    table, late = flights
    table = table.assign(distance=table["distance"].fillna(0))
    model = make_pipeline(encoders.TargetEncoder(), StandardScaler(), NETWORK)
    assert cross_val_score(model, table, late, cv=3).mean() > 0.85


def test_scikit_lego_groups_the_samples(flights):
    pytest.importorskip("sklego", reason="scikit-lego is not installed")
    from sklego.meta import GroupedPredictor

    table, late = flights
    table = table[["hour", "weather"]]
    network = make_pipeline(StandardScaler(), NETWORK)
    model = GroupedPredictor(network, groups=["weather"]).fit(table, late)
    assert (model.predict(table) == late).mean() > 0.9
    assert set(model.estimators_) == {"fog", "sun"}
