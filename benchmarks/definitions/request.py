"""What a user asks for: an experiment, the data, the number of seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.definitions.experiment import BUNDLED, Experiment


@dataclass(frozen=True)
class Request:
    """What the user asked for: an experiment, on which data, with how many seeds.

    `image_size` and `grey` are how the files of a folder are read; `models_folder` is
    where fitted models are saved, if anywhere.
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
    models_folder: Path | None = None

    def meets_protocol(self) -> bool:
        """Whether the reported figures hold for this."""
        place = (self.dataset, self.train_size)
        return not self.quick and self.experiment.reported_for == place

    @property
    def command(self) -> str:
        """The command that repeats this, without the places of files on one machine."""
        words = ["python -m benchmarks", self.experiment.name]
        if self.dataset != BUNDLED:
            words.append(f"--dataset {Path(self.dataset).name}")
        if self.image_size is not None:
            words.append("--image-size {}x{}".format(*self.image_size))
        if self.grey:
            words.append("--grey")
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
