"""Print the waits and kernels of training on a simulated CUDA device.

Run ``PYTHONPATH=tests python -m simulated_cuda.report LABEL``. The counts are appended
to ``counts.jsonl`` in this folder. Without a label, the stored counts are printed.
"""

import json
import sys
from pathlib import Path

from simulated_cuda.workloads import WORKLOADS, Counts, count

STORED = Path(__file__).parent / "counts.jsonl"

_COLUMNS = ("label", "workload", *Counts._fields)


def main(labels: list[str]) -> None:
    """Count all workloads if there is a label, and print the stored counts."""
    if labels:
        with STORED.open("a") as file:
            for workload in WORKLOADS:
                record = {"label": labels[0], "workload": workload}
                record |= count(workload)._asdict()
                file.write(json.dumps(record) + "\n")
    print("| " + " | ".join(_COLUMNS) + " |")
    print("|" + " --- |" * len(_COLUMNS))
    for line in STORED.read_text().splitlines():
        record = json.loads(line)
        print("| " + " | ".join(str(record[name]) for name in _COLUMNS) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
