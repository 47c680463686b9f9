"""A user's request: an experiment, the data and the number of seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.definitions.experiment import BUNDLED, Experiment


@dataclass(frozen=True)
class Request:
    """A user's request: an experiment, its data and the number of seeds.

    `image_size` and `grey` say how the files of a folder are read, and `target` is the
    column of the classes in a CSV file. Fitted models are saved in `models_folder` if
    it is given.
    """

    experiment: Experiment
    dataset: str
    train_size: float | int | None = None
    seeds: int = 3
    device: str = "auto"
    threads: int | None = None
    models: tuple[str, ...] = ()
    quick: bool = False
    image_size: tuple[int, int] | None = None
    grey: bool = False
    target: str | None = None
    models_folder: Path | None = None

    def matches_source_protocol(self) -> bool:
        """Whether the reported figures hold for this request."""
        place = (self.dataset, self.train_size)
        return not self.quick and self.experiment.reported_for == place

    @property
    def command(self) -> str:
        """The command that repeats this request, without paths of this machine."""
        words = ["python -m benchmarks", self.experiment.name]
        if self.dataset != BUNDLED:
            words.append(f"--dataset {Path(self.dataset).name}")
        if self.image_size is not None:
            words.append("--image-size {}x{}".format(*self.image_size))
        if self.grey:
            words.append("--grey")
        if self.target is not None:
            words.append(f"--target {self.target}")
        if self.train_size is not None:
            words.append(f"--train-size {self.train_size}")
        words.append(f"--seeds {self.seeds}")
        if self.device != "auto":
            words.append(f"--device {self.device}")
        if self.threads is not None:
            words.append(f"--threads {self.threads}")
        if self.models:
            words.append(f"--models {','.join(self.models)}")
        if self.quick:
            words.append("--quick")
        return " ".join(words)
