"""The HTML that a notebook shows of estimators."""

import re
import warnings
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn import config_context
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

SVG = "{http://www.w3.org/2000/svg}"


def panel(model):
    """The panel below scikit-learn's diagram."""
    html = model._repr_html_()
    return html[html.index('<div class="skmlp-panel">') :]


def panel_items(model):
    """The items in the first line of the panel."""
    return re.search(r"<p>(.*?)</p>", panel(model))[1].split(" · ")


def curves(model):
    """Vertical positions of the points of the solid and of the dashed curves."""
    picture = ET.fromstring(re.search("<svg.*</svg>", panel(model))[0])
    lines = picture.findall(f".//{SVG}polyline")
    solid, dashed = [], []
    for line in lines:
        points = [float(point.split(",")[1]) for point in line.get("points").split()]
        is_solid = line.get("stroke-dasharray") is None
        (solid if is_solid else dashed).append(np.array(points))
    return solid, dashed


@pytest.fixture(scope="module")
def fitted(digits):
    """A fitted MLP with validation losses of 7 epochs."""
    model = MLPClassifier((9, 5), max_iter=7, early_stopping=True, random_state=0)
    with warnings.catch_warnings(action="ignore"):
        return model.fit(*digits)


def test_unfitted_estimators_show_only_the_sklearn_diagram():
    for model in (MLPClassifier(), EnsembleClassifier()):
        html = model._repr_html_()
        assert "sk-top-container" in html
        assert "skmlp-panel" not in html


def test_fitted_panel_follows_the_sklearn_diagram(fitted):
    html = fitted._repr_html_()
    ids = r"sk-(container|estimator)-id-\d+"
    diagram = re.sub(ids, "", estimator_html_repr(fitted))
    assert re.sub(ids, "", html).startswith(diagram)
    assert fitted._repr_mimebundle_()["text/html"].endswith(panel(fitted))


def test_panel_shows_parameters_epochs_and_device(fitted):
    assert panel_items(fitted) == [
        f"{fitted.n_parameters_:,} parameters",
        f"7 epochs, best {fitted.best_epoch_}",
        str(fitted.device_),
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SoftmaxRegression(solver="lbfgs", tol=1), r"\d+ iterations?"),
        (MLPRegressor(hidden_layer_sizes=2, max_iter=1), "1 epoch"),
    ],
    ids=["lbfgs", "one epoch"],
)
def test_panel_without_loss_curve_still_shows_epochs(model, expected, digits):
    model.fit(*digits)
    assert re.fullmatch(expected, panel_items(model)[1])
    assert "<svg" not in panel(model)


def test_epochs_of_partial_fit_add_up(digits):
    X, y = digits
    model = MLPClassifier(3, random_state=0)
    for _ in range(3):
        model.partial_fit(X, y, classes=np.unique(y))
    assert panel_items(model)[1] == "3 epochs"
    assert len(curves(model)[0][0]) == 3


def test_panel_layers_equal_summary_layers(digits):
    model = CNNClassifier((2, 3), hidden_layer_sizes=(4,), max_iter=1).fit(*digits)
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


def test_curves_show_losses_on_one_scale(fitted):
    (train,), (valid,) = curves(fitted)
    losses = [*fitted.loss_curve_, *(r["valid_loss"] for r in fitted.history_)]
    heights = np.concatenate([train, valid])
    slope, offset = np.polyfit(losses, heights, 1)
    assert slope < 0  # SVG counts downwards
    np.testing.assert_allclose(slope * np.array(losses) + offset, heights, atol=0.1)


def test_infinite_losses_are_left_out(digits):
    model = MLPClassifier(3, max_iter=3, random_state=0).fit(*digits)
    model.loss_curve_[1] = np.inf
    (train,), valid = curves(model)
    assert (len(train), valid) == (2, [])


def test_ensemble_panel_shows_its_members(digits):
    network = MLPClassifier(4, max_iter=9, early_stopping=True, n_iter_no_change=1)
    model = EnsembleClassifier(network, 3, random_state=0).fit(*digits)
    epochs = [member.n_iter_ for member in model.estimators_]
    total = sum(member.n_parameters_ for member in model.estimators_)
    assert panel_items(model)[:2] == ["3 networks", f"{total:,} parameters"]
    span = f"{min(epochs)} to {max(epochs)} epochs"
    assert panel_items(model)[2] in (span, f"{epochs[0]} epochs")
    assert sorted(map(len, curves(model)[0])) == sorted(epochs)
    scaled = make_pipeline(StandardScaler(), MLPClassifier(4, max_iter=2))
    assert panel_items(EnsembleClassifier(scaled, 2).fit(*digits))[0] == "2 networks"
    foreign = EnsembleClassifier(LogisticRegression(max_iter=5), 2).fit(*digits)
    assert "skmlp-panel" not in foreign._repr_html_()


def test_pipelines_and_searches_show_the_sklearn_diagram_once(digits):
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(4, max_iter=2))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0, 1]}, cv=2)
    for model in (pipeline.fit(*digits), search.fit(*digits)):
        html = model._repr_html_()
        assert "MLPClassifier" in html
        assert html.count('<div id="sk-container') == 1


def test_text_display_has_no_html(fitted):
    with config_context(display="text"):
        assert not hasattr(fitted, "_repr_html_")
        assert list(fitted._repr_mimebundle_()) == ["text/plain"]


class Nesting(HTMLParser):
    """Collects elements that are not closed or wrongly nested, and all addresses."""

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


def test_panel_is_well_formed_and_loads_nothing(fitted):
    nesting = Nesting(panel(fitted))
    assert (nesting.open, nesting.faults, nesting.addresses) == ([], [], [])
    # Colors are inherited from the page, for light and dark themes.
    assert "currentColor" in panel(fitted)
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb\(", panel(fitted))
    assert 'role="img" aria-label="Training loss from ' in panel(fitted)


def test_layer_names_are_escaped(fitted, digits):
    network = fitted.net_.module_
    model = MLPClassifier((9, 5), max_iter=2, random_state=0).fit(*digits)
    first = next(iter(network._modules))
    layers = model.net_.module_._modules
    model.net_.module_._modules = {
        ("<b>" if name == first else name): layer for name, layer in layers.items()
    }
    assert "<td>&lt;b&gt;</td>" in panel(model)
