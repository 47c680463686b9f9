"""The work that is measured: networks, samples, epochs and target ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

OURS = "skmlp"
SKLEARN, SKORCH, KERAS, JAX = "scikit-learn", "skorch", "keras", "jax"
OBVIOUS, BEST = "torch, obvious", "torch, best"
# skmlp again, to see a cost or a gain: without augmentation, or on half the samples.
PLAIN, HALF = "skmlp, not augmented", "skmlp, half the rows"
SINGLE_PRECISION = "skmlp in float32"  # of a network in mixed precision
FLOAT32 = "the rows in float32"
CONTESTANTS = (OURS, SKLEARN, SKORCH, KERAS, OBVIOUS, BEST)
# JAX has a loop for networks of dense layers.
DENSE_CONTESTANTS = (*CONTESTANTS, JAX)

# Data of standard normal features and ten random classes: 'normal-64' has 64 features.
RANDOM_DATA = "normal-"
# Data sets of scikit-learn with a few hundred samples.
TINY_DATA = ("iris", "wine", "diabetes")

# Processes that compute while a fit of kind 'busy' runs, and the aim for the median of
# its time divided by its time alone.
BUSY_PROCESSES = 2
MAX_BUSY_FACTOR = 3.3

# Number of samples with `--quick`, which only tries whether everything runs.
QUICK_SAMPLES = 120


@dataclass(frozen=True)
class Network:
    """A network and its training, in terms that all packages have.

    Without convolutions it is a multi-layer perceptron. The `solver` 'sgd' has Nesterov
    momentum 0.9, and 'adam' has the defaults that all packages share. The L2 penalty is
    scikit-learn's default. `amp` is mixed precision, which skmlp alone has.
    """

    hidden: tuple[int, ...] = (128,)
    convolutions: tuple[int, ...] = ()
    kernel_size: int = 2
    strides: tuple[int, ...] = ()
    pool: bool = False
    solver: str = "adam"
    learning_rate: float = 1e-3
    batch_size: int = 200
    alpha: float = 1e-4
    augmented: bool = False
    amp: bool = False


@dataclass(frozen=True)
class Workload:
    """Work that several contestants do; one section of the table.

    `targets` are the least ratios of a contestant's time (or memory) to ours. Our own
    target is the largest value. The samples of 'diabetes' have continuous targets.

    `kind` is 'fit', 'predict', or, in new processes, 'import' or 'memory'. 'busy' is a
    fit alone, and then while other processes compute. Its value is the ratio of both
    times.
    """

    name: str
    kind: str
    network: Network = Network()
    data: str = "fashion-mnist"
    rows: int = 0
    epochs: int = 1
    repeat: int = 1
    contestants: tuple[str, ...] = CONTESTANTS
    targets: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_fit(self) -> bool:
        """Whether the job is a fit of `rows` samples."""
        return self.kind in ("fit", "busy")

    @property
    def needs_worker(self) -> bool:
        """Whether the process of the contestant does the work, after a warm-up."""
        return self.is_fit or self.kind == "predict"

    def quick(self) -> Workload:
        """Return the same work with a hundred samples and one epoch."""
        return replace(
            self,
            rows=min(self.rows, QUICK_SAMPLES),
            epochs=min(self.epochs, 1),
            repeat=min(self.repeat, 2),
        )


MLP = Network()
FASHION_CNN = Network(convolutions=(32, 64), strides=(1, 1), pool=True)
COMPARE_ROW_7 = Network(
    hidden=(50,),
    convolutions=(10, 40, 80),
    kernel_size=5,
    strides=(2, 2, 1),
    solver="sgd",
    learning_rate=0.02,
    batch_size=50,
    alpha=0.0,
)

# skmlp may be a tenth slower than the best hand-written loop.
AT_MOST_A_TENTH_SLOWER = 1 / 1.10

MLP_TARGETS = {SKLEARN: 1.5, SKORCH: 2.5, KERAS: 2.5, BEST: 0.95, JAX: 0.9}
NETWORKS_ONLY = (OURS, SKORCH, KERAS, OBVIOUS, BEST)
PREDICTORS = (OURS, SKLEARN, SKORCH, KERAS, OBVIOUS)
GROWTH = (OURS, SKLEARN, BEST)
PACKAGES = "scikit-learn, skorch, torch"

WORKLOADS: tuple[Workload, ...] = (
    Workload(
        "mlp, batch 32",
        "fit",
        replace(MLP, batch_size=32),
        rows=20_000,
        epochs=3,
        contestants=DENSE_CONTESTANTS,
        targets=MLP_TARGETS,
    ),
    Workload(
        "mlp, batch 200",
        "fit",
        MLP,
        rows=20_000,
        epochs=3,
        contestants=DENSE_CONTESTANTS,
        targets=MLP_TARGETS,
    ),
    Workload("softmax", "fit", replace(MLP, hidden=()), rows=20_000, epochs=3),
    Workload(
        "digits",
        "fit",
        replace(MLP, batch_size=32),
        data="digits",
        rows=1797,
        epochs=10,
        targets={SKLEARN: 1.0, SKORCH: 4.0},
    ),
    Workload(
        "fashion-cnn",
        "fit",
        FASHION_CNN,
        rows=4_000,
        contestants=NETWORKS_ONLY,
        targets={KERAS: 1.0, SKORCH: 2.2},
    ),
    Workload(
        "compare, row 7", "fit", COMPARE_ROW_7, rows=6_000, contestants=NETWORKS_ONLY
    ),
    Workload(
        "row 7, augmented",
        "fit",
        replace(COMPARE_ROW_7, augmented=True),
        rows=6_000,
        contestants=(OURS, PLAIN),
        # Augmentation should take less than a third of a step.
        targets={PLAIN: 2 / 3},
    ),
    Workload(
        "predict 100,000 rows",
        "predict",
        rows=100_000,
        contestants=PREDICTORS,
        targets={SKLEARN: 1.0, SKORCH: 5.0},
    ),
    Workload(
        "predict one row",
        "predict",
        rows=1,
        repeat=200,
        contestants=PREDICTORS,
        targets={SKLEARN: 0.5},
    ),
    Workload(
        "import",
        "import",
        contestants=(OURS, PACKAGES, KERAS),
        targets={PACKAGES: 1 / 1.2},
    ),
    Workload(
        "peak of fit, 60,000 images",
        "memory",
        rows=60_000,
        contestants=(OURS, FLOAT32, SKLEARN),
        targets={FLOAT32: 1 / 1.5},
    ),
    Workload(
        "peak of predict, 200,000 images",
        "memory",
        rows=200_000,
        contestants=(OURS, HALF, SKLEARN),
        targets={HALF: AT_MOST_A_TENTH_SLOWER},
    ),
    *(
        Workload(
            f"tiny: {name}",
            "fit",
            replace(MLP, hidden=(100,)),
            data=name,
            rows=1_000,
            epochs=200,
            contestants=(OURS, SKLEARN),
            targets={SKLEARN: 1.2},
        )
        for name in TINY_DATA
    ),
    *(
        Workload(
            f"probabilities: {n_features} features, {hidden}, {rows:,} rows",
            "predict",
            replace(MLP, hidden=hidden),
            data=f"{RANDOM_DATA}{n_features}",
            rows=rows,
            repeat=repeat,
            contestants=(OURS, SKLEARN),
            targets={SKLEARN: target},
        )
        for n_features, hidden in (
            (8, (50,)),
            (64, (128,)),
            (784, (128,)),
            (64, (100, 100, 100)),
        )
        for rows, repeat, target in ((1, 200, 0.9), (1_000, 50, 1.1), (100_000, 1, 1.1))
    ),
    *(
        Workload(
            f"busy: {name}",
            "busy",
            network,
            rows=rows,
            epochs=2,
            contestants=contestants,
            targets={OURS: MAX_BUSY_FACTOR} | dict.fromkeys(contestants[1:], 1.0),
        )
        for name, network, rows, contestants in (
            ("mlp, width 128", MLP, 20_000, (OURS, SKLEARN)),
            ("mlp, width 1,000", replace(MLP, hidden=(1_000,)), 8_000, (OURS, SKLEARN)),
            ("fashion-cnn", FASHION_CNN, 2_000, (OURS,)),
        )
    ),
    *(
        Workload(
            f"amp: {name}",
            "fit",
            replace(network, amp=True),
            rows=rows,
            epochs=epochs,
            contestants=(OURS, SINGLE_PRECISION),
            targets={SINGLE_PRECISION: target},
        )
        for name, network, rows, epochs, target in (
            ("mlp, batch 200", MLP, 20_000, 3, 1.5),
            ("mlp, width 1,000", replace(MLP, hidden=(1_000,)), 8_000, 2, 2.5),
            ("fashion-cnn", FASHION_CNN, 4_000, 1, 1.8),
        )
    ),
    *(
        Workload(f"growth: {rows:,} rows", "fit", rows=rows, contestants=GROWTH)
        for rows in (1_000, 4_000, 16_000, 60_000)
    ),
    *(
        Workload(
            f"growth: width {width:,}",
            "fit",
            replace(MLP, hidden=(width,)),
            rows=4_000,
            contestants=GROWTH,
        )
        for width in (32, 128, 512, 2_048)
    ),
)


def find_workload(name: str) -> Workload:
    """Return the workload called `name`.

    Raises
    ------
    ValueError
        If there is none.
    """
    for workload in WORKLOADS:
        if workload.name == name:
            return workload
    raise ValueError(
        f"Unknown workload {name!r}; there is "
        f"{'; '.join(workload.name for workload in WORKLOADS)}."
    )


def describe(workload: Workload) -> dict[str, Any]:
    """Return the fields of a record that describe the work."""
    return {
        "workload": workload.name,
        "kind": workload.kind,
        "data": workload.data,
        "rows": workload.rows,
        "epochs": workload.epochs,
        "network": vars(workload.network),
    }
