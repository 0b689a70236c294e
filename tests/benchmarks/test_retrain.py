"""Training what ships again: which models, and what counts as reached."""

from __future__ import annotations

from pathlib import Path

import retrain
from retrain import Row, Trained

from ssl_bench.content import content_folder

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


def test_the_spread_over_seeds(tmp_path: Path) -> None:
    rows = [OLD, Row("m", 1, "synth", "cIoU@0.5", 0.64, 0.6, 0.7)]
    assert retrain.spread(rows).splitlines()[2].startswith("| m | 2 | 60.0 to 64.0 | - | - |")
    retrain.write_rows(tmp_path / "figures.csv", rows)
    assert (tmp_path / "figures.csv").read_text().splitlines()[1] == (
        "m,0,synth,cIoU@0.5,0.600000,0.550000,0.650000"
    )
