"""What an entry shows beside its result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.board import Entry, read_board
from ssl_bench.leaderboard.evidence import (
    dialects_of,
    gather_evidence,
    pick_trials,
    under_dialects,
)
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import load_dialect, load_protocol
from ssl_bench.scoring.run import score_file
from ssl_bench.testsets.truth import decode_rle

MAPS = "submissions/synth/my-model/maps.npz"


@pytest.fixture
def entry(board: Path) -> Entry:
    return read_board(board).competitions["synth"].entries["my-model"]


def test_the_success_curve_falls_through_the_headline(entry: Entry) -> None:
    curve = entry.evidence.success_curve
    assert [point.at for point in curve] == pytest.approx(np.linspace(0, 1, 21))
    values = [point.value for point in curve if point.value is not None]
    assert values == sorted(values, reverse=True)
    assert curve[10].value == entry.result["cIoU@0.5"].value


@pytest.mark.slow
def test_dialects_are_those_of_scoring_alone(entry: Entry, board: Path, bench: Bench) -> None:
    shown = {each.dialect: each for each in entry.evidence.dialects}
    assert {"ezvsl", "lvs", "slavc", "sslalign"} <= set(shown)
    for name, found in shown.items():
        conventions = bench.trials.protocol.under(load_dialect(name))
        single = score_file(board / MAPS, bench.trials, conventions=conventions).result
        for value in found.measures:
            assert value.value == pytest.approx(single[value.measure].value)


def test_dialects_fit_the_protocol() -> None:
    plain = dialects_of(load_protocol("vggss"))
    assert {"acl", "ezvsl", "lvs", "slavc", "sslalign"} <= set(plain)
    # their truth is that of several annotators
    assert {"mssl", "oya"}.isdisjoint(plain)
    assert dialects_of(load_protocol("retrieval")) == []


@pytest.mark.slow
def test_the_gallery_shows_score_truth_and_map(entry: Entry, board: Path, bench: Bench) -> None:
    scores = score_file(board / MAPS, bench.trials).scores.set_index("trial_id")["cIoU"]
    gallery = entry.evidence.gallery
    best = [each for each in gallery if each.picked == "best"]
    worst = [each for each in gallery if each.picked == "worst"]
    assert best[0].score == pytest.approx(scores.max())
    assert worst[0].score == pytest.approx(scores.min())
    maps = open_predictions(board / MAPS).maps_of(each.trial for each in gallery)
    for each in gallery:
        assert each.score == pytest.approx(scores[each.trial])
        assert each.map is not None
        assert (each.map.array() == maps[each.trial]).all()
        assert each.truth is not None
        truth = bench.trials.truth(bench.trials.trials[bench.trials.index[each.trial]])
        mask = decode_rle({"size": list(each.truth.size), "counts": each.truth.counts})
        assert mask.shape == (112, 112)
        assert mask.mean() == pytest.approx(truth.mean(), abs=0.02)


@pytest.mark.slow
def test_nothing_is_copied_where_it_may_not_be(board: Path, bench: Bench) -> None:
    under = under_dialects(bench.trials.protocol)
    scored = score_file(board / MAPS, bench.trials, dialects=under)
    for maps in (True, False):
        evidence = gather_evidence(
            board / MAPS, bench.trials, scored, dialects=under, show_truth=False, show_maps=maps
        )
        assert all(each.truth is None for each in evidence.gallery)
        assert all((each.map is not None) == maps for each in evidence.gallery)
        assert all(each.predicted is each.without_sound is None for each in evidence.gallery)
        assert evidence.trials is None


def test_the_curve_without_sound_passes_through_the_score_without_sound(entry: Entry) -> None:
    curves = {each.kind: each for each in entry.evidence.reference_curves}
    found = entry.result.hearing[0]
    assert found.without_sound is not None
    assert curves["blind"].name == found.best_without
    assert curves["blind"].values[10] == pytest.approx(found.without_sound.value)
    assert entry.result.ceiling is not None
    assert curves["ceiling"].values[10] == pytest.approx(entry.result.ceiling.measures[0].value)


def test_the_gallery_shows_the_pixels_that_are_scored(entry: Entry) -> None:
    for each in entry.evidence.gallery:
        assert each.predicted is not None
        mask = decode_rle({"size": list(each.predicted.size), "counts": each.predicted.counts})
        # The half rule keeps the brighter half.
        assert mask.mean() == pytest.approx(0.5, abs=0.03)


def test_trials_that_gain_most_by_the_sound_are_picked() -> None:
    reached = {f"t{number:02}": number / 100 for number in range(40)}
    without = {**reached, "t15": 0.0, "t20": 0.1, "t39": 0.0}
    picked = pick_trials(reached, reached, without)
    assert [name for name, why in picked.items() if why == "gained"] == ["t15", "t20"]
    assert picked["t39"] == "best"
    assert sum(why == "random" for why in picked.values()) == 10


def test_replicates_scatter_around_the_value(entry: Entry) -> None:
    for drawn in entry.evidence.replicates:
        value = entry.result[drawn.measure]
        values = drawn.array()
        assert len(values) == 1000
        assert value.value == pytest.approx(values.mean(), abs=0.005)
        assert value.low is not None
        assert np.quantile(values, 0.025) == pytest.approx(value.low, abs=0.01)


@given(st.dictionaries(st.text("ab01", min_size=1), st.floats(0, 1), max_size=60))
def test_trials_are_picked_once_whatever_their_order(reached: dict[str, float]) -> None:
    picked = pick_trials(reached, reached)
    assert picked == pick_trials(reversed(list(reached)), dict(reversed(reached.items())))
    best = [reached[name] for name, why in picked.items() if why == "best"]
    worst = [reached[name] for name, why in picked.items() if why == "worst"]
    assert len(best) == len(worst) == min(6, len(reached) // 2)
    if best:
        assert min(best) >= max(worst) - 1e-6
