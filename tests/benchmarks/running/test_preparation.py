from dataclasses import replace

import numpy as np
import pytest

from benchmarks.definitions.model import Component, Validation
from benchmarks.running.preparation import (
    LEFT_OUT_SAMPLES_REMARK,
    prepare_data,
    reduce_data,
    split_validation,
)


def test_validation_without_a_seed_takes_the_last_samples(spy, records):
    call = spy.calls[2]
    np.testing.assert_array_equal(call["X"][:, 0], np.arange(80))
    np.testing.assert_array_equal(call["X_val"][:, 0], np.arange(80, 100))
    assert records[2]["rows"] == {"train": 80, "validation": 20, "test": 40}
    assert 0 <= records[2]["validation_accuracy"] <= 1


def test_training_and_validation_sets_partition_the_samples(data):
    for validation in (Validation(0.1, 4487), Validation(0.1)):
        (X, _), (X_val, _) = split_validation(data.X_train, data.y_train, validation)
        both = np.concatenate([X, X_val])[:, 0]
        np.testing.assert_array_equal(np.sort(both), np.arange(100))


def test_train_size_of_a_tenth_takes_every_tenth_sample(data, request_):
    part = reduce_data(data, replace(request_, train_size=0.1))
    np.testing.assert_array_equal(part.X_train[:, 0], np.arange(0, 100, 10))
    np.testing.assert_array_equal(part.X_test, data.X_test)


def test_left_out_training_samples_are_scored_on_request(data, request_):
    sparing = replace(request_.experiment, scores_left_out_samples=True)
    part = reduce_data(data, replace(request_, experiment=sparing, train_size=0.1))
    left_out = np.setdiff1d(np.arange(100), np.arange(0, 100, 10))
    np.testing.assert_array_equal(part.X_train[:, 0], np.arange(0, 100, 10))
    np.testing.assert_array_equal(part.X_test[:, 0], left_out)
    np.testing.assert_array_equal(part.y_test, data.y_train[left_out])
    assert LEFT_OUT_SAMPLES_REMARK in part.remarks
    for size in (None, 1.0):
        with pytest.raises(ValueError, match="leaves out none"):
            reduce_data(data, replace(request_, experiment=sparing, train_size=size))


def test_preprocessing_is_fitted_on_the_training_set_alone(experiment, data):
    model = replace(
        experiment.models[0],
        preprocessing=(Component("sklearn.preprocessing.StandardScaler"),),
    )
    rows = prepare_data(model, data)
    np.testing.assert_allclose(rows.train[0].mean(axis=0), 0, atol=1e-12)
    assert rows.test[0][:, 0].mean() < -1


def test_columns_of_a_table_are_standardized(experiment, data):
    model = replace(
        experiment.models[0], preprocessing=(Component("no.such.PixelStep"),)
    )
    rows = prepare_data(model, replace(data, image_shape=None, pixel_max=None))
    np.testing.assert_allclose(rows.train[0].std(axis=0), 1)
