"""The same maps on another device, or not: differences, bounds, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.analysis.agreement import BOUNDS, Agreement, check_agreement
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.devices import PROCESSOR, Place
from ssl_bench.models.registry import load_localizer
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

HALF = Place("cpu", "bf16")


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    return open_trials(load_protocol("synth")).part(range(8), rest_fails=False)


class Shifted(Localizer):
    """Its maps go from 0 to 2, and are higher by some amount wherever it was moved."""

    name = "shifted"
    audio_blind = True

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self.place = PROCESSOR

    def move(self, place: Place) -> Place:
        self.place = place
        return place

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        return {"number": np.arange(len(images))}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        return {}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        maps = np.tile(np.float32([[0, 1], [1, 2]]), (len(image_features["number"]), 1, 1))
        if self.place != PROCESSOR:
            maps[3, 0, 0] += self.amount
        return maps


def test_a_difference_is_a_share_of_the_range_of_its_map(trials: TrialSet) -> None:
    found = check_agreement(Shifted(0.1), HALF, trials)
    assert found.difference == pytest.approx(0.05)
    assert found.worst == trials.ids[3]
    assert found.trials == 8
    assert found.agrees


@pytest.mark.parametrize(("amount", "agrees"), [(0.19, True), (0.21, False)])
def test_the_bound_decides(trials: TrialSet, amount: float, agrees: bool) -> None:
    assert BOUNDS["bf16"].difference == 0.1
    assert check_agreement(Shifted(amount), HALF, trials).agrees == agrees


def test_a_measure_may_change_by_one_trial() -> None:
    measured = {"cIoU@0.5": (0.5, 0.5 + 1 / 64)}
    assert Agreement(PROCESSOR, "synth", 64, 0.0, "a", measured).agrees
    assert not Agreement(PROCESSOR, "synth", 128, 0.0, "a", measured).agrees


def test_a_network_in_half_precision_agrees(trials: TrialSet) -> None:
    torch.set_num_threads(1)
    model = load_localizer("ezvsl")
    found = check_agreement(model, HALF, trials, batch_size=3)
    assert found.agrees
    assert found.difference > 0
    assert "cIoU@0.5" in found.measures
    assert model.provenance is not None
    assert model.provenance.precision == "bf16"


def test_what_cannot_be_compared_is_refused(trials: TrialSet) -> None:
    for name in ("center", "gradcam"):
        with refused("E_DEVICE_CHECK"):
            check_agreement(load_localizer(name), HALF, trials)
    retrieval = open_trials(load_protocol("retrieval"))
    with refused("E_DEVICE_CHECK", where="retrieval"):
        check_agreement(load_localizer("ezvsl"), HALF, retrieval)
