"""A network's layers, output shapes, parameters and multiply-adds as a table."""

import io
from html import escape
from typing import TYPE_CHECKING, Any

from skmlp.inspection._networks import network_without_weights, split_fitted
from skmlp.neural_network._layers.description import LayerSummary, describe_layers
from skmlp.training.modules.introspection import count_parameters

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("Layer", "Type", "Output shape", "Parameters", "Multiply-adds")
_TEXT_COLUMNS = 2  # the others are right-aligned
_WIDTH = 80


class Summary:
    """What `summary` returns: printed it is a table, in a notebook too.

    Attributes
    ----------
    title : str
        Name of the estimator's class.
    rows : list of LayerSummary
        The input, then every layer in the order in which they start.
    n_parameters : int
        Weights and biases of all layers.
    n_trainable_parameters : int
        Those that are not frozen; equals ``n_parameters_`` of the fitted estimator.
    n_multiply_adds : int
        Products summed to predict one row.
    """

    def __init__(
        self, title: str, rows: list[LayerSummary], n_trainable_parameters: int
    ) -> None:
        self.title = title
        self.rows = rows
        self.n_parameters = sum(row.n_parameters for row in rows)
        self.n_trainable_parameters = n_trainable_parameters
        self.n_multiply_adds = sum(row.n_multiply_adds for row in rows)

    def __rich__(self) -> "Table":
        from rich.box import SIMPLE
        from rich.table import Table

        table = Table(
            box=SIMPLE,
            title=self.title,
            show_footer=True,
            show_edge=False,
            padding=(0, 1, 0, 0),
        )
        for i, (name, total) in enumerate(zip(_COLUMNS, self._totals(), strict=True)):
            if i < _TEXT_COLUMNS:
                table.add_column(name, total, overflow="fold")
            else:
                table.add_column(name, total, justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*_as_text(row))
        return table

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=_WIDTH, color_system=None)
        with console.capture() as capture:
            console.print(self)
        lines = capture.get().rstrip().splitlines()
        return "\n".join(line.rstrip() for line in lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        def line(tag: str, cells: tuple[str, ...]) -> str:
            text = "".join(
                f'<{tag} style="text-align:{"left" if i < _TEXT_COLUMNS else "right"}">'
                f"{escape(cell)}</{tag}>"
                for i, cell in enumerate(cells)
            )
            return f"<tr>{text}</tr>"

        body = "".join(line("td", _as_text(row)) for row in self.rows)
        return (
            f"<table><caption>{escape(self.title)}</caption>"
            f"<thead>{line('th', _COLUMNS)}</thead><tbody>{body}</tbody>"
            f"<tfoot>{line('th', self._totals())}</tfoot></table>"
        )

    def _totals(self) -> tuple[str, ...]:
        """Last line of the table; it counts what is frozen where something is."""
        frozen = self.n_parameters - self.n_trainable_parameters
        label = f"Total ({frozen:,} frozen)" if frozen else "Total"
        return label, "", "", f"{self.n_parameters:,}", f"{self.n_multiply_adds:,}"


def summary(estimator: Any, X: Any = None, y: Any = None) -> Summary:
    """Describe an estimator's network, layer by layer, before or after fit.

    Parameters
    ----------
    estimator : estimator
        One of `skmlp.neural_network`, or a Pipeline or fitted search that ends in one.
    X : array-like of shape (n_samples, n_features) or images, default=None
        Needed before `fit` alone, where it shows the shape and dtype of the rows: the
        network is built, but without values, and not trained. Transformers before it
        in a Pipeline are fitted, as copies, to X and y. Not looked at after `fit`.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets, needed with X; every class once is enough.

    Returns
    -------
    summary : Summary
        Prints as a table of 80 columns; `rows` and the totals hold the numbers.

    Raises
    ------
    TypeError
        If there is no network in the estimator.
    ValueError
        If the estimator is not fitted and X or y is missing, or if a parameter of it
        does not suit them.

    Notes
    -----
    A dense layer has ``(in + 1) * out`` parameters and ``in * out`` multiply-adds, a
    convolution ``(in * size * size + 1) * out`` and, for each pixel of its output,
    ``in * size * size * out``. Statistics of batch normalisation are no parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.inspection import summary
    >>> from skmlp.neural_network import MLPClassifier
    >>> X, y = np.zeros((10, 784)), np.arange(10)  # shapes and classes are enough
    >>> table = summary(MLPClassifier(128), X, y)
    >>> print(table)  # doctest: -NORMALIZE_WHITESPACE
                               MLPClassifier
    Layer              Type    Output shape  Parameters  Multiply-adds
    ───────────────────────────────────────────────────────────────────
    input              Input         (784,)           0              0
    dense1             Linear        (128,)     100,480        100,352
    dense1_activation  ReLU          (128,)           0              0
    output             Linear         (10,)       1,290          1,280
    ───────────────────────────────────────────────────────────────────
    Total                                       101,770        101,632
    >>> table.n_parameters
    101770
    """
    network = network_without_weights(estimator, X, y, user="summary")
    return Summary(
        type(split_fitted(estimator).final).__name__,
        describe_layers(network),
        count_parameters(network, trainable=True),
    )


def _as_text(row: LayerSummary) -> tuple[str, ...]:
    """Cells of one line of the table; a layer within another is set in."""
    _, *within = row.name.split(".", maxsplit=1)
    return (
        f"  {within[0]}" if within else row.name,
        row.type,
        str(row.output_shape),
        f"{row.n_parameters:,}",
        f"{row.n_multiply_adds:,}",
    )
