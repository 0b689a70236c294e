"""Whether a localizer makes the same maps on another device, or in another precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_bench.analysis.request import Request, load_model
from ssl_bench.errors import ModelError
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.devices import PROCESSOR, Place, Precision, move
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.checks import measures_of
from ssl_bench.scoring.maps import array_maps
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

_TRIALS = 64


class Bound(NamedTuple):
    """What maps may differ by."""

    difference: float  # Of any value of a map, as a share of the range of that map's values
    # Of any of the protocol's measures; what a single trial changes passes in any case.
    measures: float


BOUNDS: dict[Precision, Bound] = {
    # Sums of some thousand products in another order: up to 2e-6 between ways to lay out the same
    # network on one processor. Where the values of a map hardly differ its range is small, which
    # magnifies the share; hence five hundred times that.
    "32": Bound(1e-3, 0.005),
    # Products are rounded to 8 bits, by 0.4 %, in each of some 20 layers; errors of differing signs
    # add up to their root, 2 %, and more where the range of a map is smaller than its values: 4 %
    # at most for the baselines with their small weights. The bound is twice and a half of that.
    "bf16": Bound(0.1, 0.03),
    # Three bits more than bf16: an eighth of its difference.
    "16": Bound(0.0125, 0.02),
}
"""Largest differences from the processor with 32 bits that pass, by precision."""


@dataclass(frozen=True)
class Agreement:
    """How far maps at a place are from those of the processor with 32 bits."""

    place: Place
    protocol: str
    trials: int  # How many were compared
    difference: float  # The largest, as a share of the range of the map
    worst: str  # Trial of the largest difference
    # For each of the protocol's measures the value by the maps of the processor, and of the place.
    measures: dict[str, tuple[float, float]]

    @property
    def bound(self) -> Bound:
        """What passes in this precision."""
        return BOUNDS[self.place.precision]

    @property
    def change(self) -> float:
        """The largest change of a measure."""
        return max(abs(there - here) for here, there in self.measures.values())

    @property
    def passes(self) -> float:
        """The largest change of a measure that passes: that of one trial does in any case."""
        return max(self.bound.measures, 1 / self.trials)

    @property
    def agrees(self) -> bool:
        """Whether both differences are within their bounds."""
        return self.difference <= self.bound.difference and self.change <= self.passes + 1e-9

    def document(self) -> dict[str, Any]:
        """All of it, as a JSON-able dictionary."""
        names = ("bound", "change", "passes", "agrees")
        place = {"device": self.place.device, "precision": self.place.precision}
        return {
            **asdict(self),
            "place": place,
            **{name: getattr(self, name) for name in names},
        }


def check_devices(request: Request, protocols: Sequence[Protocol]) -> list[Agreement]:
    """Compare a model's maps at the place of a request, on the first trials of each protocol.

    As many as the request's `limit`, or else 64. Errors are those of :func:`check_agreement`.
    """
    place = request.place
    localizer = load_model(replace(request, device=None, precision="32"))
    found = []
    for protocol in protocols:
        trials = open_trials(protocol, request.data)
        first = trials.part(range(min(len(trials), request.limit or _TRIALS)), rest_fails=False)
        found.append(check_agreement(localizer, place, first, batch_size=request.batch_size))
    return found


def check_agreement(
    localizer: Localizer | AnnotationLocalizer,
    place: Place,
    trials: TrialSet,
    *,
    batch_size: int = 32,
) -> Agreement:
    """Compare the maps of these trials with those of the processor with 32 bits.

    The localizer is at `place` afterwards. Trials that ask by category are asked without it.

    Raises
    ------
    ModelError
        If the protocol asks for no maps, or the localizer does not compute at that place.
    SslBenchError
        If images or sounds are missing or unusable, or the localizer breaks its contract.
    """
    if trials.protocol.answers != "maps":
        raise ModelError(
            "this protocol asks for rankings, and devices are compared by maps",
            code="E_DEVICE_CHECK",
            where=trials.protocol.label,
            remedy="choose a protocol such as synth",
        )
    if isinstance(localizer, AnnotationLocalizer):
        raise ModelError(
            f"{localizer.name} holds no network that a device could compute",
            code="E_DEVICE_CHECK",
            remedy="leave the check out: its maps are made of the annotation",
        )
    localizer.move(PROCESSOR)
    here = _maps(localizer, trials, batch_size)
    where = move(localizer, place)
    if where != place:
        raise ModelError(
            f"{localizer.name} computes on {where.device} with {where.precision} bits, whatever is "
            "asked for",
            code="E_DEVICE_CHECK",
            remedy="leave the check out, or ask for another device or precision",
        )
    there = _maps(localizer, trials, batch_size)
    differences = [
        float(np.abs(other - own).max()) / _range(own)
        for own, other in zip(here, there, strict=True)
    ]
    worst = int(np.argmax(differences))
    scored = [_measured(maps, trials) for maps in (here, there)]
    return Agreement(
        place,
        trials.protocol.label,
        len(trials),
        differences[worst],
        trials.trials[worst].id,
        {name: (value, scored[1][name]) for name, value in scored[0].items() if name in scored[1]},
    )


def _maps(localizer: Localizer, trials: TrialSet, batch_size: int) -> list[NDArray[np.float32]]:
    maps: list[NDArray[np.float32]] = []
    for start in range(0, len(trials), batch_size):
        asked = trials.trials[start : start + batch_size]
        seen = localizer.encode_image(
            [trials.shown(trial, localizer.video_input) for trial in asked]
        )
        sounds = [] if localizer.audio_blind else [trials.waveform(each.audio) for each in asked]
        heard = localizer.encode_audio(sounds) if sounds else {}
        maps.extend(localizer.localize(seen, heard))
    return maps


def _range(heat: NDArray[np.float32]) -> float:
    """Largest minus smallest value; of a flat map its size, and 1 for a map of zeros."""
    return float(np.ptp(heat)) or float(np.abs(heat).max()) or 1.0


def _measured(maps: list[NDArray[np.float32]], trials: TrialSet) -> dict[str, float]:
    """Values of the protocol's measures that are defined on these trials."""
    measures = measures_of(trials.protocol)
    job = Job(array_maps(dict(zip(trials.ids, maps, strict=True)), trials), trials, measures)
    [table] = score_maps(job)
    found = summarise(table, measures)
    return {each.measure: each.value for each in found if each.value is not None}
