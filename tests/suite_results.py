"""What a shipped baseline reaches under several protocols, in percent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssl_bench.analysis.evaluation import Request, run
from ssl_bench.scoring.results import MeasuredValue, Result

Results = dict[str, Result]


def suite_results(model: str, protocols: Sequence[str], folder: Path) -> Results:
    """Results by the names of protocols."""
    done = run(Request(model, folder=folder), list(protocols))
    return {each.result.protocol.name: each.result for each in done}


def points(measures: tuple[MeasuredValue, ...], name: str) -> float:
    """The value of one measure."""
    value = next(found.value for found in measures if found.measure == name)
    assert value is not None
    return 100 * value


def heard(results: Results, protocol: str, name: str) -> float:
    """The figure of the model with the sound."""
    return points(results[protocol].measures, name)


def unheard(results: Results, protocol: str, name: str) -> float:
    """The figure of the model's own audio-blind map."""
    blind = results[protocol].vision_only
    assert blind is not None
    return points(blind.measures, name)


def audio_blind(results: Results, protocol: str, name: str) -> list[float]:
    """The figure of the model's own audio-blind map, and of each prior."""
    priors = results[protocol].priors
    assert priors
    own = unheard(results, protocol, name)
    return [own, *(points(each.measures, name) for each in priors)]
