"""A table of the layers of a network: output shapes, parameters, multiply-adds."""

import io
from html import escape
from typing import TYPE_CHECKING, Any

from skmlp.inspection._networks import network_to_describe, split_estimator
from skmlp.neural_network._layers.description import LayerSummary, describe_layers
from skmlp.training.modules.introspection import count_parameters

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("Layer", "Type", "Output shape", "Parameters", "Multiply-adds")
_TEXT_COLUMNS = 2  # the columns of numbers are right-aligned
_WIDTH = 80


class Summary:
    """Result of `summary`.

    It is printed as a text table. In a notebook it is an HTML table.

    Parameters
    ----------
    title : str
        Name of the estimator's class.
    rows : list of LayerSummary
        The input, then the layers in the order of the forward pass. A block comes
        before the layers in it.
    n_trainable_parameters : int
        Number of weights and biases that are not frozen.

    Attributes
    ----------
    title : str
        Name of the estimator's class.
    rows : list of LayerSummary
        The input, then every layer.
    n_parameters : int
        Number of weights and biases of all layers.
    n_trainable_parameters : int
        Number of weights and biases that are not frozen. It equals ``n_parameters_``
        of the fitted estimator.
    n_multiply_adds : int
        Number of multiply-add operations to predict one sample.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.inspection import summary
    >>> from skmlp.neural_network import MLPClassifier
    >>> model = MLPClassifier(128, frozen_layers=[0])
    >>> table = summary(model, np.zeros((10, 784)), np.arange(10))
    >>> table.n_parameters, table.n_trainable_parameters, table.n_multiply_adds
    (101770, 1290, 101632)
    >>> [row.name for row in table.rows if row.n_parameters]
    ['dense1', 'output']
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
            table.add_row(*_cell_texts(row))
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
        def table_row(tag: str, cells: tuple[str, ...]) -> str:
            text = "".join(
                f'<{tag} style="text-align:{"left" if i < _TEXT_COLUMNS else "right"}">'
                f"{escape(cell)}</{tag}>"
                for i, cell in enumerate(cells)
            )
            return f"<tr>{text}</tr>"

        body = "".join(table_row("td", _cell_texts(row)) for row in self.rows)
        return (
            f"<table><caption>{escape(self.title)}</caption>"
            f"<thead>{table_row('th', _COLUMNS)}</thead><tbody>{body}</tbody>"
            f"<tfoot>{table_row('th', self._totals())}</tfoot></table>"
        )

    def _totals(self) -> tuple[str, ...]:
        """Return the last row of the table, with the number of frozen parameters."""
        n_frozen = self.n_parameters - self.n_trainable_parameters
        label = f"Total ({n_frozen:,} frozen)" if n_frozen else "Total"
        return label, "", "", f"{self.n_parameters:,}", f"{self.n_multiply_adds:,}"


def summary(estimator: Any, X: Any = None, y: Any = None) -> Summary:
    """Describe the network of an estimator, layer by layer, before or after `fit`.

    Parameters
    ----------
    estimator : estimator
        An estimator of `skmlp.neural_network`, or a Pipeline or fitted search that ends
        with one.
    X : array-like of shape (n_samples, n_features) or images, default=None
        Samples with the number of features of the later fit. They are needed only if
        the estimator is not fitted, and ignored otherwise. In a Pipeline, copies of the
        transformers are fitted to X and y.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets, needed with X. One sample of every class is enough.

    Returns
    -------
    summary : Summary
        Its text is a table of 80 columns. Its attributes hold the numbers.

    Raises
    ------
    TypeError
        If the estimator has no network.
    ValueError
        If the estimator is not fitted and X or y is missing, or if its parameters do
        not fit X and y.

    Notes
    -----
    - A dense layer has ``(in + 1) * out`` parameters and ``in * out`` multiply-adds.
    - A convolution has ``(in * size * size + 1) * out`` parameters. For each pixel of
      its output it has ``in * size * size * out`` multiply-adds.
    - The running statistics of batch normalization are not parameters.
    - If the estimator is not fitted, the network is built on torch's meta device,
      without memory for its weights. It is not trained.

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
    network, n_features = network_to_describe(estimator, X, y, caller="summary")
    return Summary(
        type(split_estimator(estimator).final).__name__,
        describe_layers(network, n_features),
        count_parameters(network, trainable=True),
    )


def _cell_texts(row: LayerSummary) -> tuple[str, ...]:
    """Return the cells of one row of the table; nested layers are indented."""
    _, *nested = row.name.split(".", maxsplit=1)
    return (
        f"  {nested[0]}" if nested else row.name,
        row.type,
        str(row.output_shape),
        f"{row.n_parameters:,}",
        f"{row.n_multiply_adds:,}",
    )
