"""A checkpoint of another fit, or a damaged file, is refused."""

import io
import os
import pickle

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback

from skmlp.augmentation import GaussianNoise
from skmlp.neural_network import (
    SoftmaxRegression,
)
from skmlp.persistence import ModelFileError, load_model, save_model
from skmlp.storage import atomic_files, container
from skmlp.storage.atomic_files import _part_file_name, remove_part_files

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Training goes on after epoch"),
]


OTHER_PARAMETERS = {
    "alpha": 0.3,
    "solver": "sgd",
    "hidden_layer_sizes": (9,),
    "max_iter": 7,
    "random_state": 1,
    "batch_size": 31,
    "augmentation": GaussianNoise(0.2),
    "scoring": "f1_macro",
    "early_stopping": True,
    "dtype": "float32",
    "class_weight": {0: 1.0, 1: 2.0, 2: 1.0},
    "frozen_layers": [0],
}


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_changed_parameter_is_refused_by_name(name, path, digits, mlp, kill):
    kill(mlp(), 2, path)
    before = path.read_bytes()
    other = mlp(checkpoint=path, **{name: OTHER_PARAMETERS[name]})
    with pytest.raises(ValueError, match=f"is of another fit: {name} was .* and is "):
        other.fit(*digits)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("X", lambda X, y: (X + 1e-12, y)),
        ("X", lambda X, y: (X[:-1], y[:-1])),
        ("X", lambda X, y: (X.astype(np.float32), y)),
        ("X", lambda X, y: (scipy.sparse.csr_matrix(X), y)),
        ("y", lambda X, y: (X, np.roll(y, 1))),
        ("y", lambda X, y: (X, y + 1)),
        ("sample_weight", lambda X, y: (X, y, np.ones(len(y)))),
        ("X_val", lambda X, y: (X, y, None, X, y)),
    ],
)
def test_changed_data_are_refused_by_name(name, change, path, digits, mlp, kill):
    kill(mlp(), 2, path)
    with pytest.raises(ValueError, match=f"is of another fit: {name} was "):
        mlp(checkpoint=path).fit(*change(*digits))


def test_checkpoint_of_another_estimator_is_refused(path, digits, mlp, kill):
    kill(mlp(), 2, path)
    with pytest.raises(ValueError, match="estimator was MLPClassifier and is Soft"):
        SoftmaxRegression(checkpoint=path).fit(*digits)


def test_changed_init_from_is_refused(path, digits, mlp, kill):
    first, second = mlp().fit(*digits), mlp(random_state=1).fit(*digits)
    kill(mlp(init_from=FrozenEstimator(first)), 2, path)
    with pytest.raises(ValueError, match="another fit: init_from was "):
        mlp(init_from=FrozenEstimator(second), checkpoint=path).fit(*digits)


@pytest.mark.parametrize("params", [{"verbose": True}, {"checkpoint_interval": 60.0}])
def test_parameters_without_effect_on_results_may_change(
    params, path, capsys, digits, mlp, kill, assert_same_fit
):
    whole = mlp().fit(*digits)
    kill(mlp(), 3, path)
    assert_same_fit(whole, mlp(checkpoint=path, **params).fit(*digits))


def test_fit_that_failed_before_training_does_not_block_next_fit(path, digits, mlp):
    with pytest.raises(ValueError, match="train_size=500"):
        mlp(checkpoint=path, train_size=500).fit(*digits)
    mlp(checkpoint=path).fit(*digits)


def test_checkpoint_refuses_lbfgs_and_warm_start(path, digits, mlp):
    with pytest.raises(ValueError, match="checkpoint is written after epochs"):
        mlp(checkpoint=path, solver="lbfgs").fit(*digits)
    with pytest.raises(ValueError, match="checkpoint is of one fit from its beginning"):
        mlp(checkpoint=path, warm_start=True).fit(*digits)
    assert not path.exists()


def test_partial_fit_ignores_checkpoint(path, digits, mlp):
    model = mlp(checkpoint=path)
    model.partial_fit(*digits, classes=[0, 1, 2])
    assert not path.exists()
    model.fit(*digits)
    before = path.read_bytes()
    model.partial_fit(*digits)
    assert path.read_bytes() == before


def test_damaged_file_is_refused_and_left_unchanged(path, digits, mlp, kill):
    kill(mlp(dropout=0.1), 3, path)
    whole = path.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 40, dtype=int).tolist():
        flipped = bytearray(whole)
        flipped[at] ^= 4
        for content in (whole[:at], bytes(flipped)):
            path.write_bytes(content)
            model = mlp(dropout=0.1, checkpoint=path)
            with pytest.raises(ModelFileError, match=r"fit\.checkpoint"):
                model.fit(*digits)
            assert not hasattr(model, "net_")
            assert path.read_bytes() == content


def test_model_and_checkpoint_files_are_distinguished(path, tmp_path, digits, mlp):
    model = mlp(checkpoint=path).fit(*digits)
    with pytest.raises(ModelFileError, match="holds a checkpoint, but no model"):
        load_model(path)
    save_model(model, tmp_path / "model")
    with pytest.raises(ModelFileError, match="holds a model, but no checkpoint"):
        mlp(checkpoint=tmp_path / "model").fit(*digits)
    assert load_model(tmp_path / "model").checkpoint is None


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"facts":{"dict":{}}}',
        '{"facts":{"dict":{}},"stages":{"dict":{"fit":1}}}',
        '{"facts":{"dict":{}},"stages":{"dict":{"fit":{"dict":{"state":1}}}}}',
        '{"facts":{"dict":{}},"stages":{"dict":{"fit":{"dict":'
        '{"state":1,"start":"x"}}}}}',
    ],
)
def test_intact_file_with_invalid_content_is_refused(content, path, digits, mlp):
    path.write_bytes(container.serialize_container(content, {}, "checkpoint"))
    with pytest.raises(ModelFileError, match="is no checkpoint of a fit"):
        mlp(checkpoint=path).fit(*digits)


def test_checkpoint_is_not_a_pickle(path, digits, mlp):
    mlp(checkpoint=path, dropout=0.1).fit(*digits)
    with pytest.raises(pickle.UnpicklingError):
        pickle.load(io.BytesIO(path.read_bytes()))


def test_checkpoint_is_written_before_training_without_leftovers(path, mlp, kill):
    kill(mlp(), 1, path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    (left,) = path.parent.iterdir()
    assert left.stat().st_size > 1000


def test_partial_file_of_killed_process_is_removed(path, tmp_path, digits, mlp, kill):
    kill(mlp(), 2, path)
    part = tmp_path / _part_file_name(path, "0" * 16)
    other = tmp_path / _part_file_name(tmp_path / "other", "0" * 16)
    part.touch()
    other.touch()
    mlp(checkpoint=path).fit(*digits)
    assert not part.exists()
    assert other.exists()


def test_missing_folder_is_an_error_before_training(tmp_path, digits, mlp, kill_at):
    path = tmp_path / "missing" / "fit"
    with pytest.raises(FileNotFoundError, match=r"the checkpoint of .* was not saved"):
        mlp(checkpoint=path, callbacks=[kill_at(1)]).fit(*digits)


def test_checkpoint_interval_skips_writes_except_last(
    path, digits, mlp, kill, kill_at, assert_same_fit
):
    model = mlp(checkpoint=path, checkpoint_interval=1e6)
    kill(model, 5, path)
    model.fit(*digits)
    assert_same_fit(mlp().fit(*digits), model)
    again = clone(model).set_params(callbacks=[kill_at(1)])
    assert_same_fit(model, again.fit(*digits))


def test_fit_leaves_the_file_to_another_fit_that_writes_it(path, digits, mlp):
    class FitAnother(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                mlp(checkpoint=path).fit(*digits)

    model = mlp(checkpoint=path, callbacks=[FitAnother()])
    with pytest.raises(ValueError, match="was written by another fit while this one"):
        model.fit(*digits)
    assert_array_equal(
        mlp(checkpoint=path).fit(*digits).coefs_[0], mlp().fit(*digits).coefs_[0]
    )


def test_fit_that_another_fit_disturbs_while_writing_names_it(
    path, digits, mlp, monkeypatch
):
    def begin_another_fit(descriptor):
        remove_part_files(path)

    monkeypatch.setattr(atomic_files.os, "fsync", begin_another_fit)
    with pytest.raises(ValueError, match="one file serves one fit"):
        mlp(checkpoint=path).fit(*digits)


def test_deleted_file_is_written_again(path, digits, mlp):
    class Delete(Callback):
        def on_epoch_end(self, net, **kwargs):
            path.unlink()

    whole = mlp().fit(*digits)
    model = mlp(checkpoint=path, callbacks=[Delete()]).fit(*digits)
    assert_array_equal(model.coefs_[0], whole.coefs_[0])
    assert path.exists()


def test_touched_file_is_no_file_of_another_fit(path, digits, mlp):
    class Touch(Callback):
        def on_epoch_end(self, net, **kwargs):
            os.utime(path, (len(net.history), 0))

    model = mlp(checkpoint=path, callbacks=[Touch()]).fit(*digits)
    assert_array_equal(model.coefs_[0], mlp().fit(*digits).coefs_[0])


def test_missing_folder_is_named(tmp_path, digits, mlp):
    with pytest.raises(FileNotFoundError, match="checkpoint"):
        mlp(checkpoint=tmp_path / "missing" / "fit").fit(*digits)
