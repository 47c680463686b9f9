"""Stored records without any run, and pages made of them."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from benchmarks.report import html_page, stored_runs
from benchmarks.result_store import first_layer_images

VOID = {"meta", "link", "img", "input"}


class Element:
    """An element of a page with its attributes, children and text."""

    def __init__(self, tag, attributes):
        self.tag, self.attributes = tag, dict(attributes)
        self.children, self.texts = [], []

    def all(self, tag):
        """Return the elements with a name below this one, in order."""
        return [
            found
            for child in self.children
            for found in ([child] if child.tag == tag else []) + child.all(tag)
        ]

    def one(self, tag, **attributes):
        """Return the only element with this name and these attributes."""
        wanted = attributes.items()
        (found,) = [e for e in self.all(tag) if wanted <= e.attributes.items()]
        return found

    @property
    def text(self):
        """All text within the element."""
        return "".join(x if isinstance(x, str) else x.text for x in self.texts)


class Reader(HTMLParser):
    """A parser that refuses a page whose elements do not close in order."""

    def __init__(self):
        super().__init__()
        self.stack = [Element("page", [])]

    def handle_starttag(self, tag, attributes):
        element = Element(tag, attributes)
        self.stack[-1].children.append(element)
        self.stack[-1].texts.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        assert self.stack.pop().tag == tag

    def handle_data(self, data):
        self.stack[-1].texts.append(data)


@pytest.fixture(scope="session")
def read_html():
    """Return the function that reads a page."""

    def read(text):
        reader = Reader()
        reader.feed(text)
        reader.close()
        (page,) = reader.stack
        return page

    return read


def network(seed, *shape):
    """Return an object with a first layer."""

    class Network:
        coefs_ = (np.random.default_rng(seed).normal(size=shape),)

    return Network


@pytest.fixture(scope="session")
def make_record():
    """Return a function that makes the record of a run."""

    def make(**changes):
        seed = changes.get("seed", 0)
        rng = np.random.default_rng(seed if isinstance(seed, int) else 0)
        counts = rng.integers(0, 5, (10, 10)) + 90 * np.eye(10, dtype=int)
        accuracy = float(np.trace(counts) / counts.sum())
        epochs = 12
        record = {
            "experiment": "compare",
            "dataset": "mnist",
            "train_size": 0.1,
            "quick": False,
            "order": 0,
            "model": "mlp-50",
            "seed": seed,
            "architecture": "dense 50",
            "estimator": "skmlp.neural_network.MLPClassifier",
            "parameters": {"alpha": 0.0, "hidden_layer_sizes": [50]},
            "preprocessing": ["PixelScaler(pixel_max=255.0)"],
            "rows": {"train": 5400, "validation": 600, "test": int(counts.sum())},
            "n_features": 784,
            "n_classes": 10,
            "error": None,
            "layers": 2,
            "n_parameters": 39_760,
            "epochs": epochs,
            "best_epoch": 8,
            "fit_seconds": round(1 + rng.random(), 3),
            "train_accuracy": 0.99,
            "validation_accuracy": 0.9,
            "test_accuracy": accuracy,
            "test_loss": 0.3,
            "loss_curve": list(np.exp(-np.arange(epochs) / 4)),
            "validation_scores": list(0.9 - np.exp(-np.arange(epochs) / 3) / 2),
            "classes": list(range(10)),
            "confusion_matrix": counts.tolist(),
            "warnings": [],
            "first_layer": None,
            "reported": [0.9373],
            "device": "cpu",
            "device_name": "cpu",
            "versions": {"python": "3.11.7", "skmlp": "0.1.0", "torch": "2.13.0"},
            "platform": "Linux x86_64",
            "cpu": "a processor",
            "cpu_count": 2,
            "threads": 1,
            "finished": "2026-11-21T07:59:08+00:00",
            "command": "python -m benchmarks compare --dataset mnist --seeds 3",
        }
        if seed == 0:
            record["first_layer"] = first_layer_images.encode(
                network(0, 784, 50), (28, 28)
            )
        return record | changes

    return make


@pytest.fixture(scope="session")
def many(make_record):
    """Return a function that makes this number of records of four models."""
    models = (
        ("lr", "softmax", "SoftmaxRegression", 7_850, 1.0),
        ("mlp-50", "dense 50", "MLPClassifier", 39_760, 2.0),
        ("mlp-200", "dense 200", "MLPClassifier", 159_010, 4.0),
        ("cnn-3", "conv 10-40-80 5x5/2-2-1, dense 50", "CNNClassifier", 286_940, 60.0),
    )

    def make(n, seeds=3):
        records = []
        for i in range(n):
            group, seed = divmod(i, seeds)
            group, order = divmod(group, len(models))
            name, layers, kind, parameters, seconds = models[order]
            rng = np.random.default_rng(i)
            records.append(
                make_record(
                    experiment=("compare", "fashion-mlp", "optimizers")[group % 3],
                    dataset=f"data-{group // 3}",
                    order=order,
                    model=name,
                    seed=seed,
                    architecture=layers,
                    estimator=f"skmlp.neural_network.{kind}",
                    n_parameters=parameters,
                    fit_seconds=round(seconds * (1 + rng.random() / 5), 3),
                    test_accuracy=round(0.9 + order / 50 + rng.random() / 100, 4),
                )
            )
        return records

    return make


@pytest.fixture
def store(tmp_path):
    """Return a function that writes records to a folder of stored runs."""

    def write(records, name="runs.jsonl"):
        folder = tmp_path / "stored"
        folder.mkdir(exist_ok=True)
        lines = (json.dumps(record) for record in records)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    return write


@pytest.fixture
def runs_of(store):
    """Return a function that makes runs from records."""
    return lambda records: stored_runs.read([store(records)]).runs


@pytest.fixture
def page_of(store, read_html):
    """Return a function that makes a page from records and reads it."""
    return lambda records: read_html(
        html_page.render(stored_runs.read([store(records)]))
    )
