"""Training what ships again: which models, and what counts as reached."""

from __future__ import annotations

from pathlib import Path

import retrain
from retrain import Row, Trained

from ssl_bench.files import content_folder
from ssl_bench.training.record import read_record, write_record

OLD = Row("m", 0, "synth", "cIoU@0.5", 0.60, 0.55, 0.65)


def again(value: float | None) -> Trained:
    return Trained("m", 1, 2.0, False, (Row("m", 1, "synth", "cIoU@0.5", value, None, None),))


def test_every_small_model_with_weights_and_a_training_table() -> None:
    names = retrain.trainable()
    assert {"ezvsl", "ogl-l1"} <= set(names)
    assert "center" not in names
    for name in names:
        assert (content_folder("baselines") / name / "synth.safetensors").is_file()


def test_a_figure_in_the_interval_or_above_is_reached() -> None:
    assert retrain.missed([OLD], again(0.55)) == []
    assert retrain.missed([OLD], again(0.70)) == []


def test_a_figure_below_it_is_not() -> None:
    (problem,) = retrain.missed([OLD], again(0.54))
    assert problem == ("m, seed 1: cIoU@0.5 on synth is 54.0, and ships with 60.0 [55.0, 65.0]")
    assert len(retrain.missed([OLD], again(None))) == 1


def test_baselines_that_share_weights_are_measured_with_them() -> None:
    assert retrain.sharing("ogl-l1") == ["ogl-cls"]
    assert retrain.sharing("oya") == ["potential"]
    assert retrain.sharing("ezvsl") == []


def test_image_trunks_start_from_the_classifier_trained_anew(tmp_path: Path) -> None:
    started = tmp_path / "ogl-l1-seed0" / "synth.safetensors"
    assert retrain.image_trunk("ezvsl", tmp_path) == started
    assert retrain.image_trunk("oya", tmp_path) is None
    assert retrain.image_trunk("ogl-l1", tmp_path) is None


def test_the_spread_over_seeds(tmp_path: Path) -> None:
    rows = [OLD, Row("m", 1, "synth", "cIoU@0.5", 0.64, 0.6, 0.7)]
    assert retrain.spread(rows).splitlines()[2].startswith("| m | 2 | 60.0 to 64.0 | - | - |")
    retrain.write_rows(tmp_path / "figures.csv", rows)
    assert (tmp_path / "figures.csv").read_text().splitlines()[1] == (
        "m,0,synth,cIoU@0.5,0.600000,0.550000,0.650000"
    )


def test_only_runs_of_this_seed_and_of_the_recipe_as_it_is_count_as_finished(
    tmp_path: Path,
) -> None:
    path = tmp_path / "synth.training.json"
    assert not retrain.finished(path, "ogl-l1", 0)
    record = read_record(content_folder("baselines") / "ogl-l1" / "synth.training.json")
    write_record(record, path)
    assert retrain.finished(path, "ogl-l1", 0)
    assert not retrain.finished(path, "ogl-l1", 1)
    assert not retrain.finished(path, "ezvsl", 0)
    changed = record.recipe.model_copy(update={"epochs": record.recipe.epochs + 1})
    write_record(record.model_copy(update={"recipe": changed}), path)
    assert not retrain.finished(path, "ogl-l1", 0)
