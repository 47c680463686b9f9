import pytest

from benchmarks.tables import learning_rate_table


def make_record(seed, losses, suggested_loss, suggested_rate=0.1):
    return {
        "experiment": "learning-rates",
        "quick": False,
        "model": "digits-adam",
        "seed": seed,
        "rates": [0.01, 0.1],
        "losses": losses,
        "suggested_rate": suggested_rate,
        "suggested_loss": suggested_loss,
        "suggestion_seconds": 1.0,
        "versions": {"python": "3"},
        "platform": "Linux",
        "cpu": "a CPU",
        "cpu_count": 2,
        "threads": 1,
        "command": "python -m benchmarks learning-rates",
    }


def test_best_rate_has_the_lowest_mean_loss():
    records = [make_record(0, [1.0, 3.0], 1.1), make_record(1, [3.0, 1.5], 3.1)]
    (row,) = learning_rate_table.judge(records)
    assert (row.best_rate, row.best_loss) == (0.01, 2.0)
    assert row.ratio == pytest.approx(1.05)


def test_splits_close_to_their_own_best_are_counted():
    losses = [[1.0, 1.04, 9.0], [3.0, 1.5, 9.0], [1.5, 1.6, 9.0]]
    suggested = [1.05, 1.6, None]
    records = [
        make_record(seed, *given)
        for seed, given in enumerate(zip(losses, suggested, strict=True))
    ]
    (row,) = learning_rate_table.judge(records)
    assert (row.n_splits, row.n_close) == (3, 1)
    # The other splits say the second rate, then the first, then the second.
    assert row.n_close_of_others == 1
    (row,) = learning_rate_table.judge(records[:1])
    assert row.n_close_of_others is None


def test_rates_of_several_splits_are_a_range():
    records = [make_record(s, [1.0, 3.0], 1.1, r) for s, r in enumerate([0.3, 0.1])]
    assert learning_rate_table.table_rows(records)[0][1] == "0.1-0.3"
    assert learning_rate_table.table_rows(records[:1])[0][1] == "0.3"


def test_rate_that_diverges_is_not_the_best():
    (row,) = learning_rate_table.judge([make_record(0, [None, 3.0], 3.0)])
    assert row.best_rate == 0.1
    (row,) = learning_rate_table.judge([make_record(0, [None, 3.0], None)])
    assert row.ratio == float("inf")


@pytest.mark.parametrize(("loss", "text"), [(2.1, "1 of 1"), (2.2, "0 of 1")])
def test_heading_counts_ratios_and_names_the_largest(loss, text):
    heading = learning_rate_table.heading([make_record(0, [2.0, 3.0], loss)])
    assert f"{text} ratios are at most 1.05" in heading[2]
    assert "digits-adam" in heading[2]
