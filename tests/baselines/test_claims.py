"""What the papers claim of EZ-VSL and its prior, on the embedded world and the shipped weights.

Margins leave room around what training seeds 0 to 2 reached; the cards state the figures.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from alone import alone
from board_results import (
    board_result,
    figure,
    floor,
    heard,
    heard_of_type,
    points,
    score_table,
    unheard,
)
from numpy.typing import NDArray

import ssl_bench
from ssl_bench.analysis.evaluation import Evaluation
from ssl_bench.leaderboard.submissions import AUDIO_BLIND, MAPS, default_board, submission_path
from ssl_bench.measures.values import parse_measure
from ssl_bench.models.mixing import mix
from ssl_bench.scoring.maps import array_maps
from ssl_bench.trials.trial_set import TrialSet


class Parts(NamedTuple):
    """Percentages on standard trials and on Type B."""

    standard: float
    type_b: float


class TestStandardTrials:
    def test_ezvsl_is_far_above_the_floors(self) -> None:
        for measure, margin in (("cIoU@0.5", 5), ("cIoU(adaptive)@0.5", 18)):
            reached = heard("ezvsl", "synth", measure)
            result = board_result("ezvsl", "synth")
            floors = {each.name: each.measures for each in result.floors}
            # What these tests read without intervals is what scoring gives.
            assert reached == pytest.approx(points(result.measures, measure))
            best = max(points(each, measure) for each in floors.values())
            assert floor("synth", measure) == pytest.approx(best)
            assert reached > points(floors["center"], measure) + margin
            assert reached > points(floors["random"], measure) + 40

    def test_the_object_prior_comes_close_without_hearing(self) -> None:
        reached = heard("ezvsl", "synth", "cIoU@0.5")
        assert heard("ogl-l1", "synth", "cIoU@0.5") > reached - 10

    def test_so_does_the_audio_blind_map_of_the_model_itself(self) -> None:
        reached = heard("ezvsl", "synth", "cIoU@0.5")
        assert unheard("ezvsl", "synth", "cIoU@0.5") > reached - 10


class TestConcat:
    @pytest.mark.slow
    def test_without_sound_the_half_is_a_guess(self) -> None:
        assert 42 < heard("ogl-l1", "concat", "side-accuracy") < 58
        assert 42 < unheard("ezvsl", "concat", "side-accuracy") < 58

    def test_with_sound_it_is_found(self) -> None:
        assert heard("ezvsl", "concat", "side-accuracy") > 88

    def test_ezvsl_stays_clearly_ahead_of_everything_audio_blind(self) -> None:
        reached = heard("ezvsl", "concat", "cIoU(adaptive)@0.5")
        assert reached > heard("ogl-l1", "concat", "cIoU(adaptive)@0.5") + 20
        assert reached > unheard("ezvsl", "concat", "cIoU(adaptive)@0.5") + 25

    def test_hearing_adds_much_here_and_little_on_standard_trials(self) -> None:
        adds = {}
        for protocol in ("synth", "concat"):
            found = board_result("ezvsl", protocol, blind=AUDIO_BLIND).hearing
            adds[protocol] = next(each.adds for each in found if each.measure == ADAPTIVE)
        concat, standard = adds["concat"], adds["synth"]
        assert concat is not None
        assert standard is not None
        assert concat.low is not None
        assert standard.high is not None
        assert concat.low > standard.high


def maps_of(slug: str, trials: TrialSet) -> dict[str, NDArray[np.floating[Any]]]:
    path = default_board() / submission_path(trials.protocol.name, slug) / MAPS
    return ssl_bench.open_predictions(path).maps_of(trials.ids)


class TestSwappingSounds:
    trials = ssl_bench.open_trials(ssl_bench.load_protocol("concat"))

    @pytest.mark.parametrize(("model", "moves"), [("ezvsl", True), ("ogl-l1", False)])
    def test_it_moves_the_map_of_a_model_that_hears(self, model: str, moves: bool) -> None:
        maps = maps_of(model, self.trials)
        changed = [
            float(np.abs(maps[trial.id] - maps[trial.twins[0]]).max() / np.ptp(maps[trial.id]))
            for trial in self.trials
        ]
        if moves:
            assert np.median(changed) > 0.3
        else:
            assert max(changed) == 0

    def test_playing_the_other_sound_loses_the_object(self) -> None:
        """Each trial is scored with the map of its twin: the same picture, the other sound."""
        maps = maps_of("ezvsl", self.trials)
        swapped = {trial.id: maps[trial.twins[0]] for trial in self.trials}
        result = ssl_bench.score(swapped, self.trials).result
        reached = heard("ezvsl", "concat", "cIoU(adaptive)@0.5")
        assert points(result.measures, "cIoU(adaptive)@0.5") < reached / 4
        assert points(result.measures, "side-accuracy") < 12


def normalised_maps(done: Evaluation) -> dict[str, NDArray[np.floating[Any]]]:
    predictions = ssl_bench.open_predictions(done.folder / "predictions.npz")
    ids = [trial.id for trial in done.trials]
    return {
        trial: (heat - heat.min()) / np.ptp(heat)
        for trial, heat in predictions.maps_of(ids).items()
    }


def test_object_guided_localization_mixes_both(tmp_path: Path) -> None:
    (whole,) = alone(["synth"])
    few = whole.test_set.model_copy(update={"options": {"count": 12}})
    protocol = whole.model_copy(update={"test_set": few})
    mixed = ssl_bench.evaluate("ezvsl", protocol, alpha=0.4, folder=tmp_path / "m")
    assert mixed.result.model.alpha == 0.4
    assert {part.name for part in mixed.result.model.parts} == {"ezvsl", "ogl-l1"}
    prior = normalised_maps(ssl_bench.evaluate("ezvsl", protocol, alpha=0.0, folder=tmp_path / "p"))
    own = normalised_maps(ssl_bench.evaluate("ogl-l1", protocol, folder=tmp_path / "o"))
    for trial, heat in own.items():
        np.testing.assert_allclose(prior[trial], heat, rtol=0, atol=1e-6)


ADAPTIVE = "cIoU(adaptive)@0.5"


def unmixed() -> Parts:
    """EZ-VSL alone."""
    return Parts(heard("ezvsl", "synth", ADAPTIVE), heard_of_type("ezvsl", "B", ADAPTIVE))


@cache
def mixed(alpha: float, prior: str) -> Parts:
    """EZ-VSL and a prior, mixed from the maps that the board stores of both."""
    found = {}
    for protocol in ("synth", "type-ab"):
        (trials,) = map(ssl_bench.open_trials, alone([protocol]))
        heard, seen = (np.stack(list(maps_of(slug, trials).values())) for slug in ("ezvsl", prior))
        maps = array_maps(mix(heard, seen, alpha), trials)
        found[protocol] = score_table(maps, trials, [parse_measure(ADAPTIVE)])
    return Parts(figure(found["synth"], ADAPTIVE), figure(found["type-ab"], ADAPTIVE, "B"))


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["ogl-l1", "ogl-cls"])
class TestMixingWithAnObjectPrior:
    """Gains with training seeds 0 to 2 were 3.0 to 5.4 points; at 0.4, Type B lost 17 to 21."""

    def test_helps_on_standard_trials_and_costs_nothing_on_type_b_by_the_weight_chosen(
        self, prior: str
    ) -> None:
        alone, both = unmixed(), mixed(0.8, prior)
        assert both.standard > alone.standard + 2
        assert both.type_b > alone.type_b - 3

    def test_costs_much_on_type_b_by_the_published_weight(self, prior: str) -> None:
        alone, both = unmixed(), mixed(0.4, prior)
        assert both.standard > alone.standard + 2
        assert both.type_b < alone.type_b - 10
