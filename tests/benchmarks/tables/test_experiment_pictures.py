import numpy as np
import pytest

from benchmarks.definitions.experiment import Experiment, Picture
from benchmarks.tables import experiment_pictures


def run(model="m", seed=0, **more):
    return {"model": model, "seed": seed, "error": None, **more}


CURVES = {
    "train_loss": [0.9, 0.5],
    "train_score": [0.5, 0.7],
    "test_loss": [1.0, 0.7],
    "test_score": [0.4, 0.6],
}


def lines(figure):
    return [
        {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
        for ax in figure.axes
    ]


def test_monitored_sets_are_named_in_the_legend():
    figure = experiment_pictures.curves({"m": [run(curves=CURVES)]}, None)
    assert lines(figure) == [
        {"training": [0.9, 0.5], "test": [1.0, 0.7]},
        {"training": [0.5, 0.7], "test": [0.4, 0.6]},
    ]


def test_curves_fall_back_to_fitted_attributes_without_monitoring():
    kept = {"loss_curve": [0.9, 0.5], "validation_scores": [0.4, 0.6]}
    figure = experiment_pictures.curves(
        {"a": [run("a", **kept)], "b": [run("b", **kept)]}, None
    )
    assert lines(figure) == [
        {"a": [0.9, 0.5], "b": [0.9, 0.5]},
        {"a": [0.4, 0.6], "b": [0.4, 0.6]},
    ]
    assert [ax.get_title() for ax in figure.axes] == [
        "training rows",
        "validation rows",
    ]


def test_curve_is_the_mean_over_seeds():
    runs = [run(loss_curve=[1.0, 0.5]), run(seed=1, loss_curve=[3.0, 1.5, 1.0])]
    (panel,) = lines(experiment_pictures.curves({"m": runs}, None))
    assert panel == {"training": [2.0, 1.0]}


def test_only_chosen_lines_are_drawn():
    chosen = ("train_loss", "test_score")
    figure = experiment_pictures.curves(
        {"a": [run("a", curves=CURVES)], "b": [run("b", curves=CURVES)]},
        None,
        lines=chosen,
        log_loss_axis=True,
    )
    assert lines(figure) == [
        {"a": [0.9, 0.5], "b": [0.9, 0.5]},
        {"a": [0.4, 0.6], "b": [0.4, 0.6]},
    ]
    assert [ax.get_yscale() for ax in figure.axes] == ["log", "linear"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_records_without_curves_give_no_picture():
    assert experiment_pictures.curves({"m": [run()]}, None) is None


def test_weeks_are_counted_from_one():
    runs = [run(curves={"week_score": [0.5, 0.7]})]
    figure = experiment_pictures.weeks({"static": runs}, None)
    (line,) = figure.axes[0].get_lines()
    assert line.get_xydata().tolist() == [[1, 0.5], [2, 0.7]]


def candidate(*sizes, train, held_out):
    return [
        run(
            parameters={"hidden_layer_sizes": list(sizes)},
            train_scores=train,
            validation_scores_of_folds=held_out,
        )
    ]


def test_validation_curve_has_a_panel_for_every_depth():
    models = {
        "5": candidate(5, train=[0.5, 0.7], held_out=[0.5, 0.5]),
        "9": candidate(9, train=[0.9, 0.9], held_out=[0.7, 0.9]),
        "5-5": candidate(5, 5, train=[0.4, 0.4], held_out=[0.1, 0.1]),
        "9-9": candidate(9, 9, train=[0.4, 0.4], held_out=[0.1, 0.1]),
    }
    figure = experiment_pictures.validation_curve(models, None)
    one, two = figure.axes
    means = [line.get_ydata() for line in one.get_lines()]
    np.testing.assert_allclose(means, [[0.6, 0.9], [0.5, 0.8]])
    assert [t.get_text() for t in one.get_legend().get_texts()] == [
        "training",
        "validation",
    ]
    assert two.get_title() == "hidden layers: 2"


def test_single_width_gives_no_validation_curve():
    models = {"5": candidate(5, train=[0.5, 0.7], held_out=[0.5, 0.5])}
    assert experiment_pictures.validation_curve(models, None) is None


def test_confusion_matrix_shows_its_counts():
    first = run(classes=["cat", "dog"], confusion_matrix=[[7, 1], [2, 5]])
    figure = experiment_pictures.confusion_matrix({"m": [first]}, None)
    assert [t.get_text() for t in figure.axes[0].texts] == ["7", "1", "2", "5"]


def test_feature_maps_need_the_saved_model(tmp_path):
    shown = run(model_file="gone.safetensors", example={"pixels": [0.0] * 64})
    assert experiment_pictures.feature_maps({"m": [shown]}, tmp_path) is None


def test_each_picture_file_shows_only_its_models(tmp_path, monkeypatch):
    drawn = []

    def note(models, folder, **options):
        drawn.append((list(models), options))
        return experiment_pictures.weeks(models, folder)

    monkeypatch.setitem(experiment_pictures.DRAW, "curves", note)
    pictures = (
        Picture("both"),
        Picture("one", models=("b",), options={"lines": ()}),
        Picture("none", models=("c",)),
    )
    experiment = Experiment("e", "s", (), "digits", pictures=pictures)
    failed = run("b", seed=1) | {"error": "ValueError: no"}
    records = [run("a"), run("b"), failed]
    paths = experiment_pictures.draw(experiment, records, tmp_path, "e-digits")
    assert [path.name for path in paths] == ["e-digits-both.png", "e-digits-one.png"]
    assert all(path.is_file() for path in paths)
    assert drawn == [(["a", "b"], {}), (["b"], {"lines": ()})]


@pytest.mark.parametrize("name", experiment_pictures.DRAW)
def test_definitions_name_drawing_functions(name):
    assert experiment_pictures.DRAW[name].__name__ == name
