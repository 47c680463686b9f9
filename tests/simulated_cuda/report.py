"""Print the waits and kernels of training on a simulated CUDA device.

Run ``PYTHONPATH=tests python -m simulated_cuda.report LABEL``. The counts are appended
to ``counts.jsonl`` in this folder. Without a label, the table of the stored counts is
printed.
"""

import json
import sys
from pathlib import Path

from simulated_cuda.workloads import WORKLOADS, count

STORED = Path(__file__).parent / "counts.jsonl"

# Headings of the table, and the counts below them.
_COLUMNS = {
    "waits an epoch": "waits",
    "waits a step": "waits_per_step",
    "launches an epoch": "launches",
    "launches a step": "launches_per_step",
    "operations in graphs a step": "graph_operations",
    "graphs": "graphs",
}


def main(labels: list[str]) -> None:
    """Count all workloads if there is a label, and print the stored counts."""
    if labels:
        with STORED.open("a") as file:
            for workload in WORKLOADS:
                record = {"label": labels[0], "workload": workload}
                record |= count(workload)._asdict()
                file.write(json.dumps(record) + "\n")
    records = [json.loads(line) for line in STORED.read_text().splitlines()]
    print("| workload | package | " + " | ".join(_COLUMNS) + " |")
    print("|" + " --- |" * (2 + len(_COLUMNS)))
    for record in sorted(records, key=lambda r: list(WORKLOADS).index(r["workload"])):
        values = [f"{record[name]:g}" for name in _COLUMNS.values()]
        print("| " + " | ".join([record["workload"], record["label"], *values]) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
