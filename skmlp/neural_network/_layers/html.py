"""The HTML panel of fitted networks, below scikit-learn's diagram in a notebook."""

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

from skmlp.neural_network._layers.description import LayerSummary, describe_layers
from skmlp.neural_network._layers.history import values_by_epoch

# Colors are inherited from the page, so that light and dark themes stay readable.
_STYLE = """<style>
.skmlp-panel { font-size: 0.85em; margin: 0.5em 0; max-width: 40em; }
.skmlp-panel p { margin: 0.3em 0; }
.skmlp-panel table { border-collapse: collapse; font-size: inherit; color: inherit; }
.skmlp-panel th, .skmlp-panel td { padding: 0.1em 0.8em; text-align: right; }
.skmlp-panel th:first-child, .skmlp-panel td:first-child { text-align: left; }
.skmlp-panel summary { cursor: pointer; }
</style>"""

_WIDTH, _HEIGHT = 260, 90
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 6, 8, 18
_COLUMNS = ("Layer", "Output shape", "Parameters")

Curve = list[float]


def fitted_panel(networks: Sequence[Any]) -> str:
    """Return parameters, epochs, device, loss and layers of fitted networks as HTML.

    Several networks are the members of an ensemble. The table shows the layers of the
    first member.
    """
    items = [f"{sum(network.n_parameters_ for network in networks):,} parameters"]
    if len(networks) > 1:
        items.insert(0, f"{len(networks)} networks")
    items.append(_describe_epochs(networks))
    items.append(", ".join(dict.fromkeys(str(n.device_) for n in networks)))
    layers = describe_layers(networks[0].net_.module_, networks[0].n_features_in_)
    return (
        f'{_STYLE}<div class="skmlp-panel"><p>{escape(" · ".join(items))}</p>'
        f"{_loss_figure(networks)}{_layer_table(layers)}</div>"
    )


def _describe_epochs(networks: Sequence[Any]) -> str:
    """Return the numbers of epochs, and the best epoch of a single network."""
    unit = "iteration" if networks[0].solver == "lbfgs" else "epoch"
    counts = sorted(
        len(getattr(network, "loss_curve_", ())) or network.n_iter_
        for network in networks
    )
    if counts[0] != counts[-1]:
        return f"{counts[0]} to {counts[-1]} {unit}s"
    best = getattr(networks[0], "best_epoch_", None) if len(networks) == 1 else None
    text = f"{counts[0]} {unit}{'' if counts[0] == 1 else 's'}"
    return text + (f", best {best}" if best else "")


def _layer_table(layers: Sequence[LayerSummary]) -> str:
    """Return a collapsed table of layers that change the shape or have parameters."""
    rows = [layers[0]]
    rows += [
        layer
        for before, layer in pairwise(layers)
        if layer.n_parameters or layer.output_shape != before.output_shape
    ]
    cells = [(r.name, str(r.output_shape), f"{r.n_parameters:,}") for r in rows]
    body = "".join(_table_row("td", row) for row in cells)
    return (
        f"<details><summary>Architecture</summary><table><thead>"
        f"{_table_row('th', _COLUMNS)}</thead><tbody>{body}</tbody></table></details>"
    )


def _table_row(tag: str, cells: Sequence[str]) -> str:
    """Return one row of the table."""
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _loss_figure(networks: Sequence[Any]) -> str:
    """Draw the losses of at least two epochs; the validation loss is dashed."""
    training = [list(getattr(network, "loss_curve_", ())) for network in networks]
    validation = [
        values_by_epoch(network.history_, "valid_loss", len(losses))
        for network, losses in zip(networks, training, strict=True)
    ]
    finite = [v for curve in training + validation for v in curve if math.isfinite(v)]
    n_epochs = max(map(len, training))
    if n_epochs < 2 or not finite:
        return ""
    low, high = min(finite), max(finite)
    lines = [_polyline(curve, n_epochs, low, high, "") for curve in training]
    lines += [
        _polyline(curve, n_epochs, low, high, ' stroke-dasharray="4 3"')
        for curve in validation
    ]
    description = f"Training loss from {training[0][0]:.3g} to {training[0][-1]:.3g}"
    caption = "loss by epoch"
    if any(map(len, validation)):
        description += ", validation loss dashed"
        caption += ", validation dashed"
    bottom = _HEIGHT - _BOTTOM
    labels = (
        f'<text x="{_LEFT - 4}" y="{_TOP + 4}" text-anchor="end">{high:.3g}</text>'
        f'<text x="{_LEFT - 4}" y="{bottom}" text-anchor="end">{low:.3g}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">1</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{n_epochs}'
        f'</text><text x="{(_LEFT + _WIDTH) // 2}" y="{_HEIGHT - 4}" '
        f'text-anchor="middle">{caption}</text>'
    )
    return (
        f'<svg role="img" aria-label="{escape(description)}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'xmlns="http://www.w3.org/2000/svg"><g fill="none" stroke="currentColor">'
        f'<path opacity="0.4" d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}"/>'
        f'{"".join(lines)}</g><g fill="currentColor" font-size="10" '
        f'font-family="sans-serif">{labels}</g></svg>'
    )


def _polyline(
    curve: Curve, n_epochs: int, low: float, high: float, attributes: str
) -> str:
    """Draw the finite values of a curve."""
    x_unit = (_WIDTH - _LEFT - _RIGHT) / (n_epochs - 1)
    y_unit = (_HEIGHT - _TOP - _BOTTOM) / ((high - low) or 1.0)
    points = " ".join(
        f"{_LEFT + i * x_unit:.1f},{_TOP + (high - value) * y_unit:.1f}"
        for i, value in enumerate(curve)
        if math.isfinite(value)
    )
    return f'<polyline points="{points}"{attributes}/>' if points else ""
