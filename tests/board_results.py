"""What a shipped baseline reaches, in percent, scored from the maps that the board stores of it.

``tests/baselines/test_board.py`` makes some of these maps again from the weights that ship.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ssl_bench.leaderboard.submissions import AUDIO_BLIND, MAPS, default_board, submission_path
from ssl_bench.protocols.protocol import Protocol, load_protocol
from ssl_bench.scoring.formatting import position
from ssl_bench.scoring.references import Controls
from ssl_bench.scoring.results import MeasuredValue, Result
from ssl_bench.scoring.run import ScoringOptions, measures_of, score_file, under_dialect
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial import TrialSet

# What claims read, out of the measures of each protocol; the first is broken down.
_READ = {
    "synth": ("cIoU@0.5", "cIoU(adaptive)@0.5"),
    "concat": ("cIoU(adaptive)@0.5", "side-accuracy"),
    "type-ab": ("cIoU(adaptive)@0.5", "type-gap(adaptive)@0.5"),
    "interactive": ("cIoU(adaptive)@0.5", "IIoU(adaptive)@0.5", "swap-sensitivity"),
    "negative-audio": ("AUROC", "AUROC(off-screen)"),
    "retrieval": (
        *("recall(a2i)@10", "recall(i2a)@10"),
        *("category-recall(a2i)@1", "category-recall(i2a)@1"),
    ),
}


@cache
def _trials(protocol: str) -> tuple[TrialSet, Protocol, Controls | None]:
    trials = open_trials(load_protocol(protocol))
    asked = trials.protocol.model_copy(update={"measures": _READ[protocol]})
    maps = asked.answers == "maps"
    controls = Controls(under_dialect(trials, asked), measures_of(asked)) if maps else None
    return trials, asked, controls


@cache
def board_result(slug: str, protocol: str, maps: str = MAPS, blind: str | None = None) -> Result:
    """The result of an entry's maps, with the measures that claims read; beside blind ones."""
    folder = default_board() / submission_path(protocol, slug)
    trials, asked, controls = _trials(protocol)
    return score_file(
        folder / maps,
        trials,
        vision_only=None if blind is None else folder / blind,
        conventions=asked,
        controls=controls,
        options=ScoringOptions(broken_down=1),
    ).result


def points(measures: Iterable[MeasuredValue], name: str) -> float:
    """The value of one measure."""
    value = next(found.value for found in measures if found.measure == name)
    assert value is not None
    return 100 * value


def heard(slug: str, protocol: str, name: str) -> float:
    """The figure of a baseline, with the sound where it listens."""
    return points(board_result(slug, protocol).measures, name)


def heard_of_type(slug: str, kind: str, name: str) -> float:
    """The same, on the trials of Type A or of Type B."""
    return points(board_result(slug, "type-ab").breakdown["type"][kind], name)


def unheard(slug: str, protocol: str, name: str) -> float:
    """The figure of the model's own audio-blind map."""
    return points(board_result(slug, protocol, AUDIO_BLIND).measures, name)


def audio_blind(slug: str, protocol: str, name: str) -> list[float]:
    """The figure of the model's own audio-blind map, and of each prior."""
    priors = _trials(protocol)[0].protocol.controls.priors
    assert priors
    return [unheard(slug, protocol, name), *(heard(prior, protocol, name) for prior in priors)]


def floor(slug: str, protocol: str, name: str) -> float:
    """The figure of the best trivial map."""
    best = position(board_result(slug, protocol), name).floor
    assert best is not None
    return points([best], name)
