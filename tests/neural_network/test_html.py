"""What a notebook shows of an estimator."""

import re
import warnings
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from skmlp.inspection import summary
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:200] / 16, Y[:200]
SVG = "{http://www.w3.org/2000/svg}"


def panel(model):
    """The part beneath scikit-learn's diagram."""
    html = model._repr_html_()
    return html[html.index('<div class="skmlp-panel">') :]


def facts(model):
    return re.search(r"<p>(.*?)</p>", panel(model))[1].split(" · ")


def curves(model):
    """Vertical places of the curves, full ones and dashed ones."""
    picture = ET.fromstring(re.search("<svg.*</svg>", panel(model))[0])
    lines = picture.findall(f".//{SVG}polyline")
    places = [
        np.array([float(p.split(",")[1]) for p in line.get("points").split()])
        for line in lines
    ]
    dashed = [line.get("stroke-dasharray") is not None for line in lines]
    return (
        [p for p, d in zip(places, dashed, strict=True) if not d],
        [p for p, d in zip(places, dashed, strict=True) if d],
    )


@pytest.fixture(scope="module")
def mlp():
    model = MLPClassifier((9, 5), max_iter=7, early_stopping=True, random_state=0)
    with warnings.catch_warnings(action="ignore"):
        return model.fit(X, Y)


def test_unfitted_estimators_show_only_the_sklearn_diagram():
    for model in (MLPClassifier(), EnsembleClassifier()):
        html = model._repr_html_()
        assert "sk-top-container" in html
        assert "skmlp-panel" not in html


def test_fitted_panel_follows_the_sklearn_diagram(mlp):
    html = mlp._repr_html_()
    ids = r"sk-(container|estimator)-id-\d+"
    diagram = re.sub(ids, "", estimator_html_repr(mlp))
    assert re.sub(ids, "", html).startswith(diagram)
    assert mlp._repr_mimebundle_()["text/html"].endswith(panel(mlp))


def test_panel_shows_parameters_epochs_and_device(mlp):
    assert facts(mlp) == [
        f"{mlp.n_parameters_:,} parameters",
        f"7 epochs, best {mlp.best_epoch_}",
        str(mlp.device_),
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SoftmaxRegression(solver="lbfgs", tol=1), r"\d+ iterations?"),
        (MLPRegressor(hidden_layer_sizes=2, max_iter=1), "1 epoch"),
    ],
    ids=["lbfgs", "one epoch"],
)
def test_panel_without_loss_curve_still_shows_epochs(model, expected):
    model.fit(X, Y)
    assert re.fullmatch(expected, facts(model)[1])
    assert "<svg" not in panel(model)


def test_epochs_of_partial_fit_add_up():
    model = MLPClassifier(3, random_state=0)
    for _ in range(3):
        model.partial_fit(X, Y, classes=np.unique(Y))
    assert facts(model)[1] == "3 epochs"
    assert len(curves(model)[0][0]) == 3


def test_panel_layers_equal_summary_layers():
    model = CNNClassifier((2, 3), hidden_layer_sizes=(4,), max_iter=1).fit(X, Y)
    rows = re.findall(
        "<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", panel(model)
    )
    known = {
        (row.name, str(row.output_shape), f"{row.n_parameters:,}")
        for row in summary(model).rows
    }
    assert set(rows) <= known
    counted = sum(int(count.replace(",", "")) for *_, count in rows)
    assert counted == model.n_parameters_


def test_curves_show_losses_on_one_scale(mlp):
    (train,), (valid,) = curves(mlp)
    losses = [*mlp.loss_curve_, *(r["valid_loss"] for r in mlp.history_)]
    places = np.concatenate([train, valid])
    slope, offset = np.polyfit(losses, places, 1)
    assert slope < 0  # upwards
    np.testing.assert_allclose(slope * np.array(losses) + offset, places, atol=0.1)


def test_infinite_losses_are_left_out(mlp):
    model = MLPClassifier(3, max_iter=3, random_state=0).fit(X, Y)
    model.loss_curve_[1] = np.inf
    (train,), valid = curves(model)
    assert (len(train), valid) == (2, [])


def test_ensemble_panel_shows_its_members():
    network = MLPClassifier(4, max_iter=9, early_stopping=True, n_iter_no_change=1)
    model = EnsembleClassifier(network, 3, random_state=0).fit(X, Y)
    epochs = [member.n_iter_ for member in model.estimators_]
    total = sum(member.n_parameters_ for member in model.estimators_)
    assert facts(model)[:2] == ["3 networks", f"{total:,} parameters"]
    span = f"{min(epochs)} to {max(epochs)} epochs"
    assert facts(model)[2] in (span, f"{epochs[0]} epochs")
    assert sorted(map(len, curves(model)[0])) == sorted(epochs)
    scaled = make_pipeline(StandardScaler(), MLPClassifier(4, max_iter=2))
    assert facts(EnsembleClassifier(scaled, 2).fit(X, Y))[0] == "2 networks"
    foreign = EnsembleClassifier(LogisticRegression(max_iter=5), 2).fit(X, Y)
    assert "skmlp-panel" not in foreign._repr_html_()


def test_pipelines_and_searches_show_the_sklearn_diagram_once():
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(4, max_iter=2))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0, 1]}, cv=2)
    for model in (pipeline.fit(X, Y), search.fit(X, Y)):
        html = model._repr_html_()
        assert "MLPClassifier" in html
        assert html.count('<div id="sk-container') == 1


def test_text_display_has_no_html(mlp):
    with config_context(display="text"):
        assert not hasattr(mlp, "_repr_html_")
        assert list(mlp._repr_mimebundle_()) == ["text/plain"]


class Nesting(HTMLParser):
    """Notes elements that are not closed, or not in their order, and addresses."""

    void = frozenset({"input", "path", "polyline"})

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.addresses = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.void and (not self.open or self.open.pop() != tag):
            self.faults.append(tag)


def test_panel_is_well_formed_and_loads_nothing(mlp):
    found = Nesting(panel(mlp))
    assert (found.open, found.faults, found.addresses) == ([], [], [])
    # Colours are those of the text around: readable on light and on dark.
    assert "currentColor" in panel(mlp)
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb\(", panel(mlp))
    assert 'role="img" aria-label="Training loss from ' in panel(mlp)


def test_layer_names_are_escaped(mlp):
    network = mlp.net_.module_
    model = MLPClassifier((9, 5), max_iter=2, random_state=0).fit(X, Y)
    first = next(iter(network._modules))
    layers = model.net_.module_._modules
    model.net_.module_._modules = {
        ("<b>" if name == first else name): layer for name, layer in layers.items()
    }
    assert "<td>&lt;b&gt;</td>" in panel(model)
