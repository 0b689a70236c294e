"""Columns that need several trials, and the measures that are taken over pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from handmade_scores import iauc, iiou
from numpy.typing import NDArray
from standins import boxes, sample, trials_of

from ssl_bench.measures.interaction import moved_mass, swap_sensitivity
from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import MapTable
from ssl_bench.protocols.protocol import ControlsTable, load_dialect
from ssl_bench.scoring import scores as scoring
from ssl_bench.scoring.aggregate import breakdown, counted_rows, summarise
from ssl_bench.scoring.maps import MapBatch
from ssl_bench.scoring.references import Controls
from ssl_bench.scoring.run import under_dialect
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.trials.trial_set import TrialSet

TEXTS = ("IIoU@0.5", "IAUC", "IIoU(adaptive)@0.5", "swap-sensitivity", "scene-cIoU@0.5")
MEASURES = [parse_measure(text) for text in TEXTS]
HALVES = {"left": (0, 0, 0.5, 1), "right": (0.5, 0, 1, 1), "top": (0, 0, 1, 0.5)}


def interactive(*members: tuple[str, str], **changes: Any) -> TrialSet:
    """Trials of pictures named first, whose truth is the half named second."""
    samples = [
        sample(
            f"{image}-{half}",
            boxes(HALVES[half]),
            group=image,
            category=half,
            attributes={"image": image},
        )
        for image, half in members
    ]
    return trials_of(samples, "interactive", **changes)


@pytest.fixture
def trials() -> TrialSet:
    return interactive(("a", "left"), ("b", "left"), ("a", "right"), ("b", "right"), ("b", "top"))


def half(name: str) -> NDArray[np.float32]:
    x0, y0, x1, y1 = (int(8 * c) for c in HALVES[name])
    heat = np.random.default_rng(0).random((8, 8), np.float32) / 4
    heat[y0:y1, x0:x1] += 1
    return heat


def scored(trials: TrialSet, maps: list[NDArray[np.float32]], rows: list[int]) -> pd.DataFrame:
    batches = [MapBatch(np.array([row]), maps[row][None]) for row in rows]
    return score_maps(Job(batches, trials, MEASURES))[0]


def test_equal_maps_on_one_grid_that_are_interpolated_differently_are_moved() -> None:
    table = MapTable(
        size=8, interpolation="bilinear-half-pixel", silent_interpolation="bilinear-corners"
    )
    samples = [sample(f"s{number}", category=f"k{number}") for number in range(12)]
    trials = trials_of(samples, "negative_audio", map=table)
    assert [trial.role for trial in trials][:4] == ["sounding", "silence", "noise", "off-screen"]
    heat = np.random.default_rng(0).random((3, 3), np.float32)
    batch = MapBatch(np.arange(48), heat[None], np.zeros(48, np.intp))
    scores = score_maps(Job([batch], trials, [parse_measure("swap-sensitivity")]))[0]
    apart = moved_mass(
        upsample(heat, 8, "bilinear-half-pixel"), upsample(heat, 8, "bilinear-corners")
    )
    assert apart > 0
    # The sounding one against three others, and each of these against it and two equal ones.
    expected = [apart, apart / 3, apart / 3, apart / 3]
    assert scores["swap"].tolist() == pytest.approx(expected * 12)


def value(scores: pd.DataFrame, text: str) -> float | None:
    return summarise(scores, [parse_measure(text)])[0].value


def test_a_picture_counts_if_all_of_its_sounds_are_found(trials: TrialSet) -> None:
    found = [half(name) for name in ("left", "left", "right", "right", "left")]
    scores = scored(trials, found, list(range(5)))
    assert value(scores, "IIoU@0.5") == 0.5
    assert value(scores, "cIoU@0.5") == 0.8
    assert value(scores, "IAUC") == pytest.approx(iauc(scores["cIoU"], scores["image"]))
    assert value(scores, "scene-cIoU@0.5") == 1
    (measured,) = summarise(scores, [parse_measure("IIoU@0.5")])
    assert (measured.n_trials, measured.n_groups) == (2, 2)


def test_the_measures_are_the_plain_definitions_on_any_maps(trials: TrialSet) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        maps = [rng.random((3, 3), np.float32) for _ in range(5)]
        scores = scored(trials, maps, list(range(5)))
        for rule, column in (("", "cIoU"), ("(adaptive)", "cIoU(adaptive)")):
            expected = iiou(scores[column], scores["image"], 0.5)
            assert value(scores, f"IIoU{rule}@0.5") == pytest.approx(expected)


def test_a_missing_map_fails_its_picture(trials: TrialSet) -> None:
    found = [half(name) for name in ("left", "left", "right", "right", "top")]
    assert value(scored(trials, found, [0, 1, 2, 3, 4]), "IIoU@0.5") == 1
    for missing in range(5):
        rows = [row for row in range(5) if row != missing]
        assert value(scored(trials, found, rows), "IIoU@0.5") == 0.5


class TestSwap:
    def test_each_trial_is_compared_with_its_twins(self, trials: TrialSet) -> None:
        rng = np.random.default_rng(1)
        maps = [rng.random((3, 3), np.float32) for _ in range(5)]
        scores = scored(trials, maps, list(range(5)))
        grids = [upsample(heat, 8, "bilinear-corners") for heat in maps]
        for rows in ([0, 2], [1, 3, 4]):
            np.testing.assert_allclose(
                scores["swap"].to_numpy()[rows], swap_sensitivity([grids[row] for row in rows])
            )
        assert value(scores, "swap-sensitivity") == pytest.approx(scores["swap"].mean())

    @pytest.mark.parametrize("limit", [0, 36, 100, 10**6])
    def test_order_and_memory_change_nothing(
        self, trials: TrialSet, monkeypatch: pytest.MonkeyPatch, limit: int
    ) -> None:
        rng = np.random.default_rng(2)
        maps = [rng.random((3, 3), np.float32) for _ in range(5)]
        plain = scored(trials, maps, [0, 2, 1, 3, 4])
        monkeypatch.setattr(scoring, "_MAX_WAITING", limit)
        for rows in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0]):
            pd.testing.assert_frame_equal(scored(trials, maps, rows), plain)

    def test_a_map_that_cannot_hear_has_none(self, trials: TrialSet) -> None:
        scores = scored(trials, [half("left")] * 5, list(range(5)))
        assert value(scores, "swap-sensitivity") == 0

    def test_trials_without_twins_do_not_count(self) -> None:
        trials = interactive(("a", "left"), ("a", "right"), ("c", "top"))
        maps = [half("left"), half("right"), half("top")]
        scores = scored(trials, maps, [0, 1, 2])
        counted = counted_rows(scores, parse_measure("swap-sensitivity"))
        assert counted.tolist() == [True, True, False]
        assert value(scores, "swap-sensitivity") == pytest.approx(scores["swap"][0])

    def test_a_missing_map_moves_nothing(self, trials: TrialSet) -> None:
        maps = [half(name) for name in ("left", "left", "right", "right", "top")]
        whole, part = scored(trials, maps, [0, 1, 2, 3, 4]), scored(trials, maps, [0, 1, 3, 4])
        assert part["swap"][0] == part["swap"][2] == 0
        assert part["swap"][1] == whole["swap"][1]


def test_floors_and_ceiling_have_the_columns_of_pictures() -> None:
    trials = interactive(
        ("a", "left"),
        ("a", "right"),
        ("b", "left"),
        ("b", "top"),
        controls=ControlsTable(floors=("center", "random"), ceiling=True, vision_only=False),
    )
    controls = Controls(trials, MEASURES)
    floors, ceiling = controls.floors, controls.ceiling
    for table in floors.values():
        assert value(table, "swap-sensitivity") == 0
    assert value(ceiling, "IIoU@0.5") == 1
    assert value(ceiling, "IIoU(adaptive)@0.5") == 1
    # The halves of one picture share nothing, those of the other a quarter of the picture.
    assert value(ceiling, "swap-sensitivity") == pytest.approx((1 + 0.5) / 2)


def test_within_a_category_the_picture_is_still_whole(trials: TrialSet) -> None:
    found = [half(name) for name in ("left", "left", "right", "right", "left")]
    scores = scored(trials, found, list(range(5)))
    levels = breakdown(scores, [parse_measure("IIoU@0.5")])["category"]
    assert {name: values[0].value for name, values in levels.items()} == {
        "left": 0.5,
        "right": 0.5,
        "top": 0.0,
    }


def test_the_dialect_lets_an_undefined_ciou_poison_the_number() -> None:
    empty = sample("a-none", boxes((0.5, 0.5, 0.5, 0.5)), group="a", attributes={"image": "a"})
    other = sample("a-left", group="a", attributes={"image": "a"})
    trials = trials_of([empty, other], "interactive")
    flat = np.zeros((2, 1, 1), np.float32)
    for asked, expected in (
        (trials, 0.0),
        (under_dialect(trials, trials.protocol.under(load_dialect("sslalign"))), None),
    ):
        scores = score_maps(Job([MapBatch(np.arange(2), flat)], asked, MEASURES))[0]
        assert value(scores, "IIoU@0.5") == expected
