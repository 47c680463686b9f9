"""Transformers of scikit-learn in model files."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.feature_extraction.text import (
    CountVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import (
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
    chi2,
    f_regression,
)
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skmlp.neural_network import MLPClassifier, MLPRegressor
from skmlp.persistence import ModelFileError, load_model, save_model
from skmlp.persistence._allowed_classes import ALLOWED_FUNCTIONS, VERSIONED_CLASSES
from skmlp.preprocessing import PixelScaler
from skmlp.storage.container import open_container, seal_container

RNG = np.random.default_rng(0)
NUMBERS = np.abs(RNG.normal(size=(60, 4)))
GAPS = np.where(RNG.random((60, 4)) < 0.1, np.nan, NUMBERS)
Y = (NUMBERS[:, 0] > 0.5).astype(int)
TEXTS = np.array([["a", "x"], ["b", "y"], ["a", "z"]] * 20, dtype=object)
MISSING = np.array([["a"], [None], ["b"], ["a"]] * 15, dtype=object)
SENTENCES = ["the red house", "a \xe9t\xe9 of blue", "red red snow"] * 20
FRAME = pd.DataFrame(
    {
        "age": NUMBERS[:, 0],
        "income": GAPS[:, 1],
        "sex": TEXTS[:, 0],
        "city": TEXTS[:, 1],
    }
)
is_text = make_column_selector(dtype_exclude=np.number)

CASES = [
    (StandardScaler(), NUMBERS),
    (StandardScaler(with_mean=False), GAPS),
    (MinMaxScaler((0, 2), clip=True), NUMBERS),
    (MaxAbsScaler(), NUMBERS.astype(np.float32)),
    (RobustScaler(unit_variance=True), NUMBERS),
    (QuantileTransformer(n_quantiles=20, random_state=0), NUMBERS),
    (QuantileTransformer(n_quantiles=9, output_distribution="normal"), NUMBERS),
    (PowerTransformer(), NUMBERS),
    (PowerTransformer("box-cox", standardize=False), NUMBERS),
    (Normalizer("l1"), NUMBERS),
    (Binarizer(threshold=0.5), NUMBERS),
    (KBinsDiscretizer(3, strategy="uniform"), NUMBERS),
    (KBinsDiscretizer(3, encode="onehot-dense", dtype=np.float32), NUMBERS),
    (PCA(2), NUMBERS),
    (PCA(0.9, whiten=True), NUMBERS),
    (TruncatedSVD(2, random_state=0), NUMBERS),
    (SelectKBest(k=2), NUMBERS),
    (SelectKBest(chi2, k=1), NUMBERS),
    (SelectPercentile(f_regression), NUMBERS),
    (VarianceThreshold(0.1), NUMBERS),
    (FunctionTransformer(), NUMBERS),
    (make_union(StandardScaler(), PCA(1)), NUMBERS),
    (SimpleImputer(add_indicator=True), GAPS),
    (SimpleImputer(strategy="constant", fill_value="?"), TEXTS),
    (SimpleImputer(strategy="most_frequent"), TEXTS),
    (MissingIndicator(features="all"), GAPS),
    (OneHotEncoder(), TEXTS),
    (OneHotEncoder(drop="if_binary", sparse_output=False, dtype=np.float32), TEXTS),
    (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=25), TEXTS),
    (OneHotEncoder(categories=[["a", "b"], ["x", "y", "z"]]), TEXTS),
    (OneHotEncoder(), MISSING),
    (OneHotEncoder(), TEXTS.astype(str)),
    (OneHotEncoder(), Y.astype("datetime64[D]")[:, None]),
    (OrdinalEncoder(encoded_missing_value=-2), MISSING),
    (
        OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.int64
        ),
        TEXTS,
    ),
    (
        ColumnTransformer(
            [
                ("scaled", make_pipeline(SimpleImputer(), StandardScaler()), [0, 1]),
                ("same", "passthrough", [False, False, True, False]),
                ("nothing", "drop", slice(0, 1)),
            ],
            remainder=MinMaxScaler(),
        ),
        GAPS,
    ),
    (
        make_column_transformer(
            (StandardScaler(), slice("age", "income")),
            (OneHotEncoder(sparse_output=False), is_text),
            verbose_feature_names_out=False,
        ).set_output(transform="pandas"),
        FRAME,
    ),
    (CountVectorizer(ngram_range=(1, 2), stop_words=["of"]), SENTENCES),
    (CountVectorizer(vocabulary=["red", "blue"], binary=True), SENTENCES),
    (
        TfidfVectorizer(max_features=5, dtype=np.float32, stop_words="english"),
        SENTENCES,
    ),
    (TfidfTransformer(sublinear_tf=True), NUMBERS),
    (
        make_column_transformer(
            (TfidfVectorizer(), "text"), (OneHotEncoder(), ["sex"])
        ),
        FRAME.assign(text=SENTENCES),
    ),
    (
        make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough"),
        FRAME[["age", "sex"]],
    ),
]


def fit(estimator, X, y=Y):
    with warnings.catch_warnings(action="ignore"):
        return estimator.fit(X, y)


def to_dense(transformed):
    is_sparse = hasattr(transformed, "toarray")
    return transformed.toarray() if is_sparse else np.asarray(transformed)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize(("transformer", "X"), CASES)
def test_loaded_transformer_gives_equal_bits(transformer, X, path, same):
    transformer = fit(clone(transformer), X)
    save_model(transformer, path)
    loaded = load_model(path)
    expected = transformer.transform(X)
    transformed = loaded.transform(X)
    assert type(transformed) is type(expected)
    assert same(to_dense(transformed), to_dense(expected))
    if hasattr(transformer, "get_feature_names_out"):
        names = transformer.get_feature_names_out()
        assert list(loaded.get_feature_names_out()) == list(names)
    # Vectorizers set the id of an object again when they transform.
    assert vars(loaded).keys() ^ vars(transformer).keys() <= {"_stop_words_id"}
    content = path.read_bytes()
    save_model(loaded, path)
    assert path.read_bytes() == content
    assert same(to_dense(fit(loaded, X).transform(X)), to_dense(expected))


def test_every_transformer_is_tested():
    tested = {type(transformer) for transformer, _ in CASES}
    assert tested >= VERSIONED_CLASSES - {
        TransformedTargetRegressor,  # tested below
        make_column_selector,  # columns of a transformer above
    }


def make_table_pipeline(network):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["age", "income"]),
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), is_text),
    )
    return make_pipeline(columns, network.set_params(max_iter=3, random_state=0))


def test_table_pipeline_survives_a_round_trip(path, same):
    pipeline = fit(make_table_pipeline(MLPClassifier((5,))), FRAME)
    save_model(pipeline, path)
    loaded = load_model(path)
    assert same(loaded.predict_proba(FRAME), pipeline.predict_proba(FRAME))
    new = FRAME[:2].assign(city="unknown")
    assert same(loaded.predict_proba(new), pipeline.predict_proba(new))


@pytest.mark.parametrize("transformer", [None, StandardScaler(), PowerTransformer()])
def test_regressor_of_transformed_targets_survives_a_round_trip(
    transformer, path, same
):
    network = MLPRegressor(hidden_layer_sizes=(5,))
    model = TransformedTargetRegressor(
        make_table_pipeline(network), transformer=transformer
    )
    fit(model, FRAME, NUMBERS[:, 0] * 1000)
    save_model(model, path)
    assert same(load_model(path).predict(FRAME), model.predict(FRAME))


@pytest.mark.parametrize(
    "model",
    [
        TransformedTargetRegressor(
            MLPRegressor(), func=np.log1p, inverse_func=np.expm1
        ),
        make_column_transformer((FunctionTransformer(lambda X: X), [0])),
        make_union(StandardScaler(), FunctionTransformer(np.sqrt)),
    ],
)
def test_functions_are_refused_with_a_reason(model, path):
    with pytest.raises(TypeError, match=r"^func of .* is code; use a transformer with"):
        save_model(model, path)


def test_unsupported_transformer_is_named(path):
    model = make_column_transformer((sklearn.cluster.KMeans(), [0]))
    message = "^transformers of ColumnTransformer .* KMeans; save .* joblib.dump"
    with pytest.raises(TypeError, match=message):
        save_model(model, path)


@pytest.mark.parametrize(
    "params", [{"input": "filename"}, {"token_pattern": "(a+)+b"}, {"input": "file"}]
)
@pytest.mark.parametrize("vectorizer", [CountVectorizer(), TfidfVectorizer()])
def test_vectorizer_of_files_or_patterns_is_refused(vectorizer, params, path):
    ((name, value),) = params.items()
    with pytest.raises(TypeError, match=f"^{name} of .* is safe to load; use joblib"):
        save_model(clone(vectorizer).set_params(**params), path)
    save_model(vectorizer, path)
    default = json.dumps(vectorizer.get_params()[name])
    change_description(path, f'"{name}":{default}', f'"{name}":"{value}"')
    with pytest.raises(ModelFileError, match=f"{name} of .* is not"):
        load_model(path)


def test_subclass_of_a_transformer_is_refused(path):
    class Scaler(StandardScaler):
        pass

    with pytest.raises(TypeError, match="a Scaler cannot be stored"):
        save_model(Scaler(), path)


# Versions


def change_description(path, old, new):
    """Replace a text in the description of a file, and correct the checksum."""
    with open_container(path) as (description, arrays):
        assert old in description
        content = seal_container(description.replace(old, new), dict(arrays))
    path.write_bytes(content)


def test_another_version_of_scikit_learn_warns_once(path):
    model = make_pipeline(StandardScaler(), StandardScaler(), PCA(1)).fit(NUMBERS)
    save_model(model, path)
    with warnings.catch_warnings(action="error"):
        load_model(path)
    change_description(path, f'"{sklearn.__version__}"', '"1.5.2"')
    with pytest.warns(
        InconsistentVersionWarning, match="PCA, StandardScaler"
    ) as caught:
        load_model(path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert caught[0].message.original_sklearn_version == "1.5.2"
    assert caught[0].message.current_sklearn_version == sklearn.__version__


def test_networks_and_pipelines_record_no_version_of_scikit_learn(path):
    save_model(make_pipeline(PixelScaler(), MLPClassifier()), path)
    assert b"scikit-learn" not in path.read_bytes()


def test_failure_names_the_other_version(path):
    save_model(StandardScaler(), path)
    change_description(path, f'"{sklearn.__version__}"', '"1.99"')
    change_description(path, '"with_std"', '"with_variance"')
    with pytest.raises(
        ModelFileError, match=r"scikit-learn 1\.99 wrote it, and this is"
    ):
        load_model(path)


@pytest.mark.parametrize(
    "versions", ["[]", '"1"', "{}1", '{"numpy":"1"}', '{"scikit-learn":"\\n"}']
)
def test_damaged_versions_are_refused(versions, path):
    save_model(StandardScaler(), path)
    change_description(path, f'{{"scikit-learn":"{sklearn.__version__}"}}', versions)
    with pytest.raises(ModelFileError, match="model"):
        load_model(path)


# Hostile files


@pytest.mark.parametrize(
    "value",
    [
        '{"type":"os.system"}',
        '{"type":["object"]}',
        '{"function":"os.system"}',
        '{"function":{}}',
        '{"dtype":"str99999999"}',
        '{"dtype":"V8"}',
        '{"dtype":["f8"]}',
        '{"slice":[1,2]}',
        '{"slice":[[],1,2]}',
        '{"dates":["datetime64[D]","mean_"]}',
        '{"dates":["datetime64[25D]","n"]}',
        '{"object":{"class":"sklearn.SVC","params":{},"attributes":{}}}',
        '{"object":{"class":"sklearn.PCA","params":{},"attributes":{"fit":1}}}',
        '{"object":{"class":"sklearn.PCA","params":{"x":1},"attributes":{}}}',
        '{"object":{"class":"sklearn.PCA","params":{},"attributes":{},'
        '"requests":{"fit":{"X_val":[]}}}}',
        '{"object":{"class":"sklearn.PCA","params":{},"attributes":{},'
        '"requests":{"__class__":{"X_val":true}}}}',
        '{"object":{"class":"sklearn.PCA","params":{},"attributes":{},"requests":[1]}}',
    ],
)
def test_hostile_values_are_refused(value, path):
    save_model(StandardScaler().fit(NUMBERS).set_params(with_std=12345), path)
    change_description(path, "12345", value)
    with pytest.raises(ModelFileError, match="is no model"):
        load_model(path)


@pytest.mark.parametrize(
    "number", ["1000000", "1e6", '{"scalar":["int64",1000000]}', '{"float":"inf"}']
)
def test_number_of_processes_is_bounded_by_the_cores(number, path):
    save_model(make_union(StandardScaler(), n_jobs=1), path)
    assert load_model(path).n_jobs == 1
    change_description(path, '"n_jobs":1', f'"n_jobs":{number}')
    assert load_model(path).n_jobs == -1


def test_functions_of_files_are_score_functions_or_classes_of_torch():
    of_torch = {n: f for n, f in ALLOWED_FUNCTIONS.items() if n.startswith("torch.")}
    assert all(
        issubclass(cls, (torch.nn.Module, torch.optim.Optimizer))
        and cls.__module__.startswith(("torch.nn.modules.", "torch.optim"))
        for cls in of_torch.values()
    )
    assert ALLOWED_FUNCTIONS.keys() - of_torch.keys() == {
        "sklearn.chi2",
        "sklearn.f_classif",
        "sklearn.f_regression",
        "sklearn.mutual_info_classif",
        "sklearn.mutual_info_regression",
        "sklearn.r_regression",
    }


# Metadata routing


@pytest.mark.parametrize(
    "make_model",
    [
        lambda: MLPClassifier((5,)),
        lambda: MLPRegressor(hidden_layer_sizes=(5,)),
        lambda: StandardScaler(),
    ],
)
def test_metadata_requests_survive_a_round_trip(make_model, path):
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_model().set_fit_request(sample_weight="weights")
        if hasattr(model, "set_score_request"):
            model.set_fit_request(X_val=True, y_val=True)
            model.set_score_request(sample_weight=False)
        pipeline = make_pipeline(model)
    save_model(pipeline, path)
    loaded = load_model(path)[-1]
    assert str(loaded.get_metadata_routing()) == str(model.get_metadata_routing())
    assert loaded.get_metadata_routing().fit.requests["sample_weight"] == "weights"
    assert vars(loaded).keys() == vars(model).keys()
    with sklearn.config_context(enable_metadata_routing=True):
        loaded.set_fit_request(sample_weight=False)


def test_fitted_network_with_requests_survives_a_round_trip(path, same):
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier((5,), max_iter=3).set_fit_request(sample_weight=True)
    fit(model, NUMBERS)
    save_model(model, path)
    loaded = load_model(path)
    assert same(loaded.predict_proba(NUMBERS), model.predict_proba(NUMBERS))
    assert str(loaded.get_metadata_routing()) == str(model.get_metadata_routing())
