"""What the papers claim of EZ-VSL and its prior, on the embedded world and the shipped weights.

Margins leave room around what training seeds 0 to 2 reached; the cards state the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from alone import alone

import ssl_bench
from ssl_bench.analysis.evaluation import Evaluation, Request, run


class Parts(NamedTuple):
    """Percentages on standard trials and on Type B."""

    standard: float
    type_b: float


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Evaluation]:
    folder = tmp_path_factory.mktemp("claims")
    return {
        (model, protocol): ssl_bench.evaluate(
            model, protocol, folder=folder / f"{model}-{protocol}"
        )
        for model in ("ezvsl", "ogl-l1", "center", "random")
        for protocol in ("synth", "concat")
    }


Evaluated = dict[tuple[str, str], Evaluation]


def points(evaluated: Evaluated, model: str, protocol: str, measure: str) -> float:
    value = evaluated[model, protocol].result[measure].value
    assert value is not None
    return 100 * value


def blind_points(evaluated: Evaluated, protocol: str, measure: str) -> float:
    blind = evaluated["ezvsl", protocol].result.vision_only
    assert blind is not None
    value = next(found.value for found in blind.measures if found.measure == measure)
    assert value is not None
    return 100 * value


class TestStandardTrials:
    def test_ezvsl_is_far_above_the_floors(self, evaluated: Evaluated) -> None:
        for measure, margin in (("cIoU@0.5", 5), ("cIoU(adaptive)@0.5", 18)):
            reached = points(evaluated, "ezvsl", "synth", measure)
            assert reached > points(evaluated, "center", "synth", measure) + margin
            assert reached > points(evaluated, "random", "synth", measure) + 40

    def test_the_object_prior_comes_close_without_hearing(self, evaluated: Evaluated) -> None:
        heard = points(evaluated, "ezvsl", "synth", "cIoU@0.5")
        assert points(evaluated, "ogl-l1", "synth", "cIoU@0.5") > heard - 10

    def test_so_does_the_audio_blind_map_of_the_model_itself(self, evaluated: Evaluated) -> None:
        heard = points(evaluated, "ezvsl", "synth", "cIoU@0.5")
        assert blind_points(evaluated, "synth", "cIoU@0.5") > heard - 10


class TestConcat:
    def test_without_sound_the_half_is_a_guess(self, evaluated: Evaluated) -> None:
        assert 42 < points(evaluated, "ogl-l1", "concat", "side-accuracy") < 58
        assert 42 < blind_points(evaluated, "concat", "side-accuracy") < 58

    def test_with_sound_it_is_found(self, evaluated: Evaluated) -> None:
        assert points(evaluated, "ezvsl", "concat", "side-accuracy") > 88

    def test_ezvsl_stays_clearly_ahead_of_everything_audio_blind(
        self, evaluated: Evaluated
    ) -> None:
        heard = points(evaluated, "ezvsl", "concat", "cIoU(adaptive)@0.5")
        assert heard > points(evaluated, "ogl-l1", "concat", "cIoU(adaptive)@0.5") + 20
        assert heard > blind_points(evaluated, "concat", "cIoU(adaptive)@0.5") + 25

    def test_the_gap_is_wide_here_and_narrow_on_standard_trials(self, evaluated: Evaluated) -> None:
        gaps = {}
        for protocol in ("synth", "concat"):
            blind = evaluated["ezvsl", protocol].result.vision_only
            assert blind is not None
            gaps[protocol] = next(gap for gap in blind.gap if gap.measure == "cIoU(adaptive)@0.5")
        assert gaps["concat"].low is not None
        assert gaps["synth"].high is not None
        assert gaps["concat"].low > gaps["synth"].high


class TestSwappingSounds:
    @pytest.mark.parametrize(("model", "moves"), [("ezvsl", True), ("ogl-l1", False)])
    def test_it_moves_the_map_of_a_model_that_hears(
        self, evaluated: Evaluated, model: str, moves: bool
    ) -> None:
        done = evaluated[model, "concat"]
        trials = ssl_bench.open_trials(ssl_bench.load_protocol("concat"))
        maps = ssl_bench.open_predictions(done.folder / "predictions.npz").maps_of(trials.ids)
        changed = [
            float(np.abs(maps[trial.id] - maps[trial.twins[0]]).max() / np.ptp(maps[trial.id]))
            for trial in trials
        ]
        if moves:
            assert np.median(changed) > 0.3
        else:
            assert max(changed) == 0

    def test_playing_the_other_sound_loses_the_object(
        self, evaluated: Evaluated, tmp_path: Path
    ) -> None:
        """Each trial is scored with the map of its twin: the same picture, the other sound."""
        done = evaluated["ezvsl", "concat"]
        trials = ssl_bench.open_trials(ssl_bench.load_protocol("concat"))
        predictions = ssl_bench.open_predictions(done.folder / "predictions.npz")
        maps = predictions.maps_of(trials.ids)
        swapped = np.stack([maps[trial.twins[0]] for trial in trials])
        path = tmp_path / "swapped.npz"
        ssl_bench.save_predictions(path, trials.ids, swapped, predictions.meta)
        result = ssl_bench.score_file(path, trials).result
        heard = done.result["cIoU(adaptive)@0.5"].value or 0
        assert (result["cIoU(adaptive)@0.5"].value or 0) < heard / 4
        assert (result["side-accuracy"].value or 0) < 0.12


def test_object_guided_localization_mixes_both(tmp_path: Path) -> None:
    mixed = ssl_bench.evaluate("ezvsl", "synth", alpha=0.4, folder=tmp_path / "m")
    prior = ssl_bench.evaluate("ezvsl", "synth", alpha=0.0, folder=tmp_path / "p")
    own = ssl_bench.evaluate("ogl-l1", "synth", folder=tmp_path / "o")
    assert mixed.result.model.alpha == 0.4
    assert {part.name for part in mixed.result.model.parts} == {"ezvsl", "ogl-l1"}
    assert prior.result["cIoU@0.5"].value == pytest.approx(own.result["cIoU@0.5"].value, abs=0.005)


@pytest.fixture(scope="module")
def adaptive(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Parts]:
    held: dict[tuple[float, str], Parts] = {}

    def measure(alpha: float, prior: str) -> Parts:
        """At 1 the model alone, which no prior changes."""
        prior = "ogl-l1" if alpha == 1 else prior
        if (alpha, prior) not in held:
            request = Request(
                "ezvsl",
                alpha=alpha,
                settings={"prior": prior},
                folder=tmp_path_factory.mktemp("mixed"),
            )
            standard, typed = (done.result for done in run(request, alone(["synth", "type-ab"])))
            (of_b,) = (
                found
                for found in typed.breakdown["type"]["B"]
                if found.measure == "cIoU(adaptive)@0.5"
            )
            reached = standard["cIoU(adaptive)@0.5"].value, of_b.value
            held[alpha, prior] = Parts(*(100 * (value or 0) for value in reached))
        return held[alpha, prior]

    return measure


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["ogl-l1", "ogl-cls"])
class TestMixingWithAnObjectPrior:
    """Gains with training seeds 0 to 2 were 3.0 to 5.4 points; at 0.4, Type B lost 17 to 21."""

    def test_helps_on_standard_trials_and_costs_nothing_on_type_b_by_the_weight_chosen(
        self, adaptive: Callable[..., Parts], prior: str
    ) -> None:
        heard, mixed = adaptive(1, prior), adaptive(0.8, prior)
        assert mixed.standard > heard.standard + 2
        assert mixed.type_b > heard.type_b - 3

    def test_costs_much_on_type_b_by_the_published_weight(
        self, adaptive: Callable[..., Parts], prior: str
    ) -> None:
        heard, mixed = adaptive(1, prior), adaptive(0.4, prior)
        assert mixed.standard > heard.standard + 2
        assert mixed.type_b < heard.type_b - 10
