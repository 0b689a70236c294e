"""The commands as functions: paths as text or objects, typed results, errors of ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from boards import write_card
from refusals import refused

import ssl_bench
from ssl_bench import Evaluation, Localizer


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Evaluation]:
    root = tmp_path_factory.mktemp("runs")
    one = ssl_bench.evaluate("center", "synth", folder=str(root / "center"))
    return one, ssl_bench.evaluate("full", ssl_bench.load_protocol("synth"), folder=root / "full")


class Bright(Localizer):
    name = "bright"


def test_a_partial_run_has_the_maps_that_it_answered(tmp_path: Path) -> None:
    done = ssl_bench.evaluate("center", "synth", limit=3, folder=tmp_path)
    assert list(done.maps()) == list(done.trials.ids[:3])
    assert done.maps(slice(3, None)) == {}


FUNCTIONS = [
    name
    for name in ssl_bench.__all__
    if not name.startswith("__") and inspect.isfunction(getattr(ssl_bench, name))
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_names_its_arguments(name: str) -> None:
    found = inspect.signature(getattr(ssl_bench, name)).parameters.values()
    assert all(each.annotation is not each.empty for each in found)
    if name != "localize":  # settings of several models
        assert not any(each.kind is each.VAR_KEYWORD for each in found)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: ssl_bench.evaluate("center", "synth", foldr="x"), "folder"),
        (lambda: ssl_bench.evaluate(Bright, "synth"), "Bright()"),
        (lambda: ssl_bench.evaluate("center", 3), "protocol"),
        (lambda: ssl_bench.evaluate("center", "synth", missing="leave"), "skip"),
        (lambda: ssl_bench.evaluate("center"), "protocol"),
        (lambda: ssl_bench.predict("center", "synth", jobs="many"), "whole number"),
        (lambda: ssl_bench.compare(3, 4), "runs"),
        (lambda: ssl_bench.export("a", out="b", format="xls"), "latex"),
        (lambda: ssl_bench.train("ezvsl", seed="x"), "seed"),
        (lambda: ssl_bench.submit("a", "synth", "c", replace=True), "reason"),
        (lambda: ssl_bench.open_trials("synth", 3), "path"),
        (lambda: ssl_bench.open_predictions(3), "path"),
        (lambda: ssl_bench.score(np.ones((1, 7, 7)), "synth"), "TrialSet"),
        (lambda: ssl_bench.score_file("a.npz", "synth"), "TrialSet"),
        (lambda: ssl_bench.localize(3, "a.wav"), "image"),
        (lambda: ssl_bench.load_localizer("ezvsl", variants="full"), "variant"),
    ],
)
def test_wrong_arguments_are_told_with_a_remedy(wrong: Callable[[], object], told: str) -> None:
    with pytest.raises(ssl_bench.SslBenchError) as caught:
        wrong()
    assert caught.value.code == "E_ARGUMENT"
    assert told in str(caught.value)


def test_runs_are_compared_by_object_path_or_text(runs: tuple[Evaluation, Evaluation]) -> None:
    one, other = runs
    found = ssl_bench.compare(one, str(other.folder), measures=["cIoU@0.5"])
    again = ssl_bench.compare(one.folder, other, measures=["cIoU@0.5"])
    assert found == again
    [row] = found.to_frame().itertuples()
    assert row.difference == pytest.approx(
        one.result["cIoU@0.5"].value - other.result["cIoU@0.5"].value
    )
    with refused("E_COMPARE_SAME"):
        ssl_bench.compare(one, one)


def test_results_are_explained(runs: tuple[Evaluation, Evaluation]) -> None:
    one, other = runs
    assert ssl_bench.explain(one, one.folder / "result.json").causes == ()
    assert {each.field for each in ssl_bench.explain(one.result, other).causes} == {"model"}


def test_own_maps_get_a_run_folder(runs: tuple[Evaluation, Evaluation], tmp_path: Path) -> None:
    one, _ = runs
    made = ssl_bench.predict("center", "synth", folder=tmp_path / "maps", overwrite=True)
    done = ssl_bench.evaluate_maps(str(made.predictions), folder=str(tmp_path / "run"))
    assert done.folder == tmp_path / "run"
    assert done.result.measures == one.result.measures


def test_tables_pictures_and_pages_are_written(
    runs: tuple[Evaluation, Evaluation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = runs
    table = ssl_bench.export(one, other.result, out="t.csv", format="csv", labels=["A", "B"])
    assert {"A", "B"} <= set(pd.read_csv(table).to_numpy().ravel())
    with refused("E_ARGUMENT"):
        ssl_bench.export(one, other, out="t.csv", format="csv", labels=["A"])
    assert "center" in ssl_bench.report(one, other, out="r.html").read_text()
    drawn = ssl_bench.pictures(one, other.folder, by="apart", count=2, out="p.svg")
    assert len(drawn.trial_ids) == 2
    done = ssl_bench.analyse(one, out="a", scores_only=True)
    assert {path.name for path in done.files} >= {"analysis.csv", "analysis.png"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "p.svg", "r.html", "t.csv"]


def test_maps_are_entered_into_a_board(runs: tuple[Evaluation, Evaluation], tmp_path: Path) -> None:
    one, _ = runs
    card = write_card(tmp_path / "card.toml")
    given: dict[str, Any] = {"board": str(tmp_path / "board"), "new_board": True}
    maps = one.folder / "predictions.npz"
    prepared = ssl_bench.submit(maps, "synth", str(card), **given)
    assert prepared.entry.submission.slug == "my-model"
    assert (tmp_path / "board/submissions/synth/my-model/maps.npz").is_file()


def test_trials_feed_a_loop() -> None:
    items = ssl_bench.open_trials("concat")[:3].dataset()
    assert len(items) == 3
    first = items[0]
    assert first["image"].dtype == np.uint8
    assert first["truth"].shape == (224, 224)
    assert np.abs(first["sound"]).max() <= 1


@pytest.mark.parametrize(
    "function", [ssl_bench.evaluate, ssl_bench.predict, ssl_bench.contribution]
)
@pytest.mark.parametrize(
    "setting", [{"variant": "full"}, {"weights": "a.pth"}, {"settings": {"a": 1}}]
)
def test_settings_beside_a_loaded_model_are_not_ignored(
    function: Callable[..., object], setting: dict[str, Any]
) -> None:
    loaded = ssl_bench.load_localizer("ezvsl")
    with refused("E_SETTING"):
        function(loaded, "synth", **setting)


def test_training_data_must_be_there(tmp_path: Path) -> None:
    with refused("E_FOLDER_MISSING"):
        ssl_bench.train("ezvsl", data=tmp_path / "nothing")
