from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import MLPClassifier
from skmlp.neural_network._pipelines import (
    final_estimator,
    final_prefix,
    split_pipeline,
)


def test_single_estimator_has_no_transformers_and_no_prefix():
    network = MLPClassifier()
    assert split_pipeline(network) == (None, network)
    assert final_estimator(network) is network
    assert final_prefix(network) == ""


def test_pipeline_is_split_before_its_last_step():
    scaler, network = StandardScaler(), MLPClassifier()
    pipeline = make_pipeline(scaler, network)
    transformers, final = split_pipeline(pipeline)
    assert transformers.steps == [("standardscaler", scaler)]
    assert final is final_estimator(pipeline) is network
    assert final_prefix(pipeline) == "mlpclassifier__"


def test_pipeline_of_one_step_has_no_transformers():
    network = MLPClassifier()
    pipeline = Pipeline([("net", network)])
    assert split_pipeline(pipeline) == (None, network)
    assert final_prefix(pipeline) == "net__"
