"""Floors: trivial maps on the annotations alone, with scores that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standins import boxes, protocol, sample, trials_of

from ssl_bench.errors import ProtocolError
from ssl_bench.measures.values import parse_measure
from ssl_bench.models.trivial import Center, Oracle
from ssl_bench.protocols.conventions import MapTable, ThresholdTable
from ssl_bench.protocols.protocol import ControlsTable
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.maps import CHUNK, MapBatch, center, noise, row_chunks, shared_maps
from ssl_bench.scoring.references import Controls, load_floor
from ssl_bench.testsets.base import Sample
from ssl_bench.trials.trial_set import TrialSet

MEASURES = [
    parse_measure(text)
    for text in ("cIoU@0.5", "AUC", "cIoU(adaptive)@0.5", "mean-cIoU", "pointing")
]
SAMPLES = [
    sample("left", boxes((0, 0, 0.5, 1))),
    sample("whole", boxes((0, 0, 1, 1))),
    sample("corner", boxes((0, 0, 0.25, 0.25))),
    sample("nothing", boxes()),
]
# Pixels of the 224 grid, and how many of them the centre predicts: its disc of half the area takes
# the whole ring of pixels at the threshold's distance, 12 more than 25,088.
GRID = 224 * 224
DISC = 25_100


def floors_of(
    samples: list[Sample], *names: str, kind: str = "single", **changes: object
) -> TrialSet:
    return trials_of(
        samples, kind, map=MapTable(size=224), controls=ControlsTable(floors=names), **changes
    )


def scores_of(trials: TrialSet, name: str, jobs: int = 1) -> pd.DataFrame:
    return Controls(trials, MEASURES, jobs=jobs).floors[name]


class TestFull:
    def test_it_predicts_every_pixel(self) -> None:
        scores = scores_of(floors_of(SAMPLES, "full"), "full")
        assert (scores["n_predicted"] == GRID).all()
        # the share of the picture that the truth covers
        assert scores["cIoU"].tolist() == [0.5, 1.0, 0.0625, 0.0]
        assert scores["cIoU(adaptive)"].tolist() == [0.5, 1.0, 0.0625, 0.0]
        assert scores["peak_hit"].tolist() == [0.5, 1.0, 0.0625, 0.0]
        assert scores["present"].all()
        assert scores["flat"].all()

    def test_it_predicts_nothing_where_the_comparison_is_strict(self) -> None:
        strict = floors_of(SAMPLES, "full", threshold=ThresholdTable(comparison=">"))
        scores = scores_of(strict, "full")
        assert not scores["n_predicted"].any()
        success, area, *_ = summarise(scores, MEASURES)
        assert success.value == 0
        assert area.value == pytest.approx(0.025)


class TestCenter:
    def test_it_predicts_a_disc_of_half_the_picture(self) -> None:
        scores = scores_of(floors_of(SAMPLES, "center"), "center")
        assert (scores["n_predicted"] == DISC).all()
        left, whole, corner, nothing = scores["cIoU"]
        # half of the disc lies in the left half, the other half beside it
        assert left == pytest.approx((DISC / 2) / (GRID / 2 + DISC / 2))
        assert whole == pytest.approx(DISC / GRID)
        # the disc's radius is 89 pixels: the corner of 56 pixels, 79 from the centre, is touched
        assert 0 < corner < 0.03
        assert nothing == 0

    def test_it_points_at_the_four_pixels_in_the_middle(self) -> None:
        scores = scores_of(floors_of(SAMPLES, "center"), "center")
        assert scores["peak_hit"].tolist() == [0.5, 1, 0, 0]

    def test_the_adaptive_rule_makes_the_disc_as_large_as_the_truth(self) -> None:
        scores = scores_of(floors_of(SAMPLES, "center"), "center")
        assert scores["cIoU(adaptive)"][1] == 1
        assert scores["cIoU(adaptive)"][2] == 0


class TestRandom:
    def test_a_map_belongs_to_its_picture_and_not_to_the_sound(self) -> None:
        samples = [sample(f"s{number}", category=f"c{number}") for number in range(6)]
        trials = floors_of(samples, "random", kind="concat")
        shared = shared_maps(noise(), trials, np.arange(6))
        maps = shared.maps[shared.index]
        for row in (0, 2, 4):
            assert trials.trials[row].image == trials.trials[row + 1].image
            np.testing.assert_array_equal(maps[row], maps[row + 1])
        assert len({heat.tobytes() for heat in maps}) == 3

    def test_its_scores_do_not_depend_on_what_else_is_asked(self) -> None:
        alone = scores_of(floors_of(SAMPLES[:1], "random"), "random")
        among = scores_of(floors_of(SAMPLES[::-1], "random"), "random")
        pd.testing.assert_series_equal(alone.iloc[0], among.iloc[3], check_names=False)


class TestSharedMaps:
    def test_a_map_that_never_changes_is_kept_once(self) -> None:
        shared = shared_maps(center(), floors_of(SAMPLES), np.array([2, 0, 3]))
        assert shared.maps.shape == (1, 224, 224)
        assert shared.index.tolist() == [0, 0, 0]
        assert shared.rows.tolist() == [2, 0, 3]

    def test_parts_of_a_batch_keep_rows_and_maps_together(self) -> None:
        whole = MapBatch(
            np.array([4, 2, 9]), np.arange(2.0)[:, None, None], index=np.array([1, 0, 1])
        )
        plain = MapBatch(whole.rows, np.array([1.0, 0.0, 1.0])[:, None, None])
        for batch in (whole, plain):
            found = [
                (row, float(part.maps[number].item()))
                for part in (batch.take(slice(0, 2)), batch.take(slice(2, None)))
                for row, number in zip(
                    part.rows,
                    range(len(part.rows)) if part.index is None else part.index,
                    strict=True,
                )
            ]
            assert found == [(4, 1), (2, 0), (9, 1)]

    def test_only_an_oracle_is_shown_the_truth(self) -> None:
        trials = floors_of(SAMPLES)
        shown = []

        class Spy(Center):
            def map_for(self, image_key: str, truth: np.ndarray) -> np.ndarray:
                shown.append((image_key, truth.shape, float(truth.sum())))
                return super().map_for(image_key, truth)

        class Seer(Spy):
            needs_truth = True

        shared_maps(Spy(), trials, np.array([0]))
        shared_maps(Seer(), trials, np.array([0]))
        assert shown == [("left", (0, 0), 0), ("left", (224, 224), GRID / 2)]
        assert Oracle.needs_truth


@given(st.integers(0, 200), st.integers(1, 50))
def test_row_chunks_hold_every_row_once_in_order(count: int, size: int) -> None:
    chunks = list(row_chunks(count, size))
    assert [row for chunk in chunks for row in chunk] == list(range(count))
    assert all(0 < len(chunk) <= size for chunk in chunks)


class TestControlScores:
    def test_every_floor_of_the_protocol_is_scored_and_no_other(self) -> None:
        tables = Controls(floors_of(SAMPLES, "full", "center"), MEASURES).floors
        assert list(tables) == ["full", "center"]
        assert Controls(floors_of(SAMPLES), MEASURES).floors == {}

    def test_the_ceiling_comes_with_them(self) -> None:
        trials = floors_of(SAMPLES, "full")
        ceiling = Controls(trials, MEASURES).ceiling
        assert ceiling["cIoU"].tolist() == [1.0, 0.5, 0.125, 0.0]
        assert ceiling["cIoU(adaptive)"].tolist() == [1, 1, 1, 0]

    def test_threads_and_chunks_change_nothing(self) -> None:
        generator = np.random.default_rng(0)
        samples = []
        for number in range(2 * CHUNK + 3):
            x, y = generator.random(2) / 2
            samples.append(sample(f"s{number}", boxes((x, y, x + 0.4, y + 0.3))))
        trials = floors_of(samples, "center", "random")
        one = Controls(trials, MEASURES)
        three = Controls(trials, MEASURES, jobs=3)
        for name in ("center", "random"):
            pd.testing.assert_frame_equal(one.floors[name], three.floors[name])
            assert one.floors[name]["present"].all()
        pd.testing.assert_frame_equal(one.ceiling, three.ceiling)


class TestLoadFloor:
    @pytest.mark.parametrize("name", ["ezvsl", "middle", "some.py:Class"])
    def test_only_trivial_maps_are_floors(self, name: str) -> None:
        with refused("E_FLOOR_UNKNOWN", where="handmade@memory", kind=ProtocolError):
            load_floor(name, protocol())
