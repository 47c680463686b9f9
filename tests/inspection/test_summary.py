"""The table of a network's layers."""

import io
import pickle

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skmlp.inspection import summary
from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.preprocessing import PixelScaler

# The network for Fashion-MNIST of the lecture.
FASHION_CNN = {
    "conv_channels": (32, 64),
    "kernel_size": 2,
    "padding": "same",
    "pool": "max",
    "pool_size": 2,
    "hidden_layer_sizes": (128,),
}


def one_per_class(n_classes, *shape):
    """Samples of zeros, one for each class."""
    return np.zeros((n_classes, *shape)), np.arange(n_classes)


def by_name(table):
    """Rows of a table by the names of the layers."""
    return {row.name: row for row in table.rows}


@pytest.mark.parametrize(
    ("hidden", "n_features", "n_classes", "expected"),
    [((3,), 4, 3, 27), ((3, 2), 4, 3, 32), ((128,), 784, 10, 101_770)],
)
def test_mlp_parameters_equal_the_numbers_of_the_lecture(
    hidden, n_features, n_classes, expected
):
    table = summary(MLPClassifier(hidden), *one_per_class(n_classes, n_features))
    assert table.n_parameters == table.n_trainable_parameters == expected


def test_cnn_parameters_equal_the_numbers_of_the_lecture():
    table = summary(CNNClassifier(**FASHION_CNN), *one_per_class(10, 28, 28))
    rows = by_name(table)
    assert rows["conv1"].n_parameters == 160
    assert rows["conv2"].n_parameters == 8_256
    assert rows["conv1"].output_shape == (28, 28, 32)
    assert rows["conv2"].output_shape == (14, 14, 64)
    assert rows["conv2_pool"].output_shape == (7, 7, 64)
    assert rows["flatten"].output_shape == (3136,)
    assert rows["dense1"].n_parameters == (3136 + 1) * 128
    assert table.n_parameters == 160 + 8_256 + 3137 * 128 + 129 * 10


def test_multiply_adds_equal_weights_times_positions():
    table = summary(CNNClassifier(**FASHION_CNN), *one_per_class(10, 28, 28))
    rows = by_name(table)
    assert rows["conv1"].n_multiply_adds == 28 * 28 * 32 * 2 * 2
    assert rows["conv2"].n_multiply_adds == 14 * 14 * 64 * 2 * 2 * 32
    assert rows["dense1"].n_multiply_adds == 3136 * 128
    assert rows["conv1_pool"].n_multiply_adds == 0
    assert table.n_multiply_adds == sum(row.n_multiply_adds for row in table.rows)


@pytest.mark.parametrize(
    "model",
    [
        SoftmaxRegression(max_iter=1, tol=10),
        MLPClassifier((7, 5), activation="prelu", batch_norm=True, dropout=0.5),
        CNNClassifier((4, 8), padding="valid", kernel_size=2, hidden_layer_sizes=(6,)),
        CNNClassifier(
            (4, 4, 8), block="residual", head="global_average", batch_norm=True
        ),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_summary_before_fit_equals_summary_after_fit(model, digits):
    X, y = digits
    model.set_params(max_iter=1)
    before = summary(model, X[:100], y[:100])
    assert not hasattr(model, "net_")
    after = summary(model.fit(X[:100], y[:100]))
    assert before.rows == after.rows
    assert after.n_trainable_parameters == model.n_parameters_
    assert sum(weights.size for weights in model.coefs_) <= after.n_parameters


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_summary_leaves_a_fitted_network_unchanged(digits):
    X, y = digits
    model = MLPClassifier(5, max_iter=1, random_state=0).fit(X, y)
    coefs, proba = pickle.dumps(model.coefs_), model.predict_proba(X[:5])
    summary(model)
    assert pickle.dumps(model.coefs_) == coefs
    assert not any(layer._forward_hooks for layer in model.net_.module_.modules())
    np.testing.assert_array_equal(model.predict_proba(X[:5]), proba)


def test_summary_draws_no_random_numbers():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    random_state = np.random.RandomState(0)
    drawn = random_state.get_state()[1].copy()
    summary(MLPClassifier(5, random_state=random_state), *one_per_class(3, 4))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert np.array_equal(random_state.get_state()[1], drawn)


def test_network_too_large_for_memory_is_summarized():
    table = summary(MLPClassifier((10_000_000, 10_000_000)), *one_per_class(2, 1))
    assert table.n_parameters > 1e14
    assert max(map(len, str(table).splitlines())) <= 80


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_frozen_parameters_are_counted_but_not_trainable():
    model = MLPClassifier((3,), frozen_layers=[0], max_iter=1)
    X, y = one_per_class(3, 4)
    before = summary(model, X, y)
    assert (before.n_parameters, before.n_trainable_parameters) == (27, 12)
    assert "Total (15 frozen)" in str(before)
    assert summary(model.fit(X, y)).n_trainable_parameters == 12


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("layer", [0, -2, "dense1"])
def test_unfitted_network_freezes_the_same_layers_as_fit(layer, batch_norm):
    model = MLPClassifier(
        (3,), frozen_layers=[layer], batch_norm=batch_norm, max_iter=1
    )
    X, y = one_per_class(3, 4)
    before = summary(model, X, y)
    assert before.n_trainable_parameters == 12
    assert before.n_parameters - 12 == 15 + 6 * batch_norm
    model.fit(X, y)
    assert summary(model).n_trainable_parameters == model.n_parameters_ == 12


def test_invalid_frozen_layers_raise_before_fit():
    for frozen, message in ([["conv1"], "has dense1, output"], [[0, 1], "leave one"]):
        with pytest.raises(ValueError, match=message):
            summary(MLPClassifier((3,), frozen_layers=frozen), *one_per_class(3, 4))


def test_pipeline_summary_counts_transformed_features(digits):
    X, y = digits
    model = make_pipeline(PixelScaler(pixel_max=16), PCA(20), MLPClassifier((3,)))
    table = summary(model, X.reshape(300, -1), y)
    assert table.rows[0].output_shape == (20,)
    assert table.title == "MLPClassifier"
    assert not hasattr(model[1], "components_")


def test_two_classes_and_one_target_have_one_output():
    X, y = one_per_class(2, 4)
    assert summary(MLPClassifier((3,)), X, y).rows[-1].output_shape == (1,)
    assert summary(MLPRegressor(hidden_layer_sizes=(3,)), X, y).rows[
        -1
    ].output_shape == (1,)


def test_residual_block_comes_before_its_layers():
    model = CNNClassifier((4, 8), block="residual")
    names = list(by_name(summary(model, *one_per_class(3, 8, 8))))
    block = [name for name in names if name.startswith("block2")]
    assert block[:2] == ["block2", "block2.body.conv1"]
    assert "block2.shortcut.conv" in block


@pytest.mark.parametrize("width", [80, 60])
def test_narrow_table_shows_all_numbers(width):  # 60 columns fold the names
    model = CNNClassifier((64, 128, 256), block="residual", batch_norm=True)
    table = summary(model, *one_per_class(10, 224, 224, 3))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    text = console.export_text()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for row in table.rows:
        assert f" {row.n_multiply_adds:,} " in text
        assert str(row.output_shape) in text


def test_str_repr_and_html_show_the_same_cells():
    table = summary(MLPClassifier((3,)), *one_per_class(3, 4))
    html = table._repr_html_()
    assert repr(table) == str(table)
    assert html.count("<tr>") == len(table.rows) + 2
    for row in table.rows:
        assert row.name in str(table)
        assert f">{row.name}</td>" in html
    assert html.count(">27</th>") == 1


def test_missing_data_and_invalid_estimators_raise():
    with pytest.raises(ValueError, match="MLPClassifier is not fitted; give summary X"):
        summary(MLPClassifier())
    with pytest.raises(TypeError, match="got LogisticRegression"):
        summary(LogisticRegression())
    with pytest.raises(ValueError, match="image_shape=\\(9, 9, 1\\) needs 81"):
        summary(CNNClassifier(image_shape=(9, 9)), *one_per_class(3, 64))
