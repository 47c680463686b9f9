"""Runs of PCA and of autoencoders: figures and images of the records."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from benchmarks.data.datasets import load
from benchmarks.definitions.request import Request
from benchmarks.experiments.mnist.autoencoder import AUTOENCODER
from benchmarks.result_store import reconstruction_images
from benchmarks.running import reconstruction
from benchmarks.tables import experiment_pictures, model_table

MODELS = ("pca-2", "autoencoder-2", "denoising-32")


@pytest.fixture(scope="module")
def records():
    request = Request(AUTOENCODER, "digits", seeds=2, models=MODELS, quick=True)
    return list(reconstruction.run_all(request, load("digits")))


def test_every_model_runs_with_every_seed(records):
    runs = [(record["model"], record["seed"]) for record in records]
    assert runs == [(model, seed) for model in MODELS for seed in (0, 1)]
    assert {record["error"] for record in records} == {None}


def test_error_of_pca_is_that_of_its_own_reconstruction(records):
    data = load("digits").take_evenly(400, 200)
    X, X_test = data.X_train[: len(data.X_train)] / 16, data.X_test / 16
    assert records[0]["rows"] == {"train": 360, "validation": 40, "test": 200}
    whole = PCA(2).fit(X)
    error = np.mean((whole.inverse_transform(whole.transform(X_test)) - X_test) ** 2)
    # The record's PCA has a tenth of the samples less.
    assert records[0]["reconstruction_error"] == pytest.approx(error, rel=0.05)
    assert records[0]["n_parameters"] == 3 * 64


def test_images_are_stored_with_the_first_seed_only(records):
    for record in records:
        assert ("images" in record) == (record["seed"] == 0)
    images = reconstruction_images.decode(records[0]["images"])
    assert images.shape == (10, 8, 8)


def test_reconstructions_are_drawn_below_the_originals(records):
    models = {record["model"]: [record] for record in records if record["seed"] == 0}
    figure = experiment_pictures.reconstructions(models, None)
    assert len(figure.axes) == 10 * (1 + len(MODELS))
    names = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    assert names == ["original", *MODELS]
    assert experiment_pictures.reconstructions({"m": [{}]}, None) is None


def test_table_shows_the_errors(records):
    text = model_table.markdown(records)
    assert "| test error |" in text
    assert "| code 2 |" in text
    assert "| dense 128, code 32 |" in text


def test_failed_training_is_a_record(monkeypatch):
    def fail(estimator, rows):
        raise ValueError("no reason")

    monkeypatch.setattr(reconstruction, "fit_and_reconstruct", fail)
    request = Request(AUTOENCODER, "digits", seeds=1, models=("pca-2",), quick=True)
    (record,) = reconstruction.run_all(request, load("digits"))
    assert record["error"] == "ValueError: no reason"
