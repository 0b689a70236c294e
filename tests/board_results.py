"""What a shipped baseline reaches, in percent, scored from the maps that the board stores of it.

``tests/baselines/test_board.py`` makes some of these maps again from the weights that ship.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import pandas as pd

from ssl_bench.leaderboard.submissions import AUDIO_BLIND, MAPS, default_board, submission_path
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import Protocol, load_protocol
from ssl_bench.scoring.aggregate import columns_of, counted_rows, per_trial
from ssl_bench.scoring.checks import check_predictions, measures_of
from ssl_bench.scoring.maps import Maps, StoredMaps
from ssl_bench.scoring.references import Controls
from ssl_bench.scoring.results import MeasuredValue, Result
from ssl_bench.scoring.retrieval import retrieval_scores
from ssl_bench.scoring.run import ScoringOptions, score_file, under_dialect
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

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
def _scores(slug: str, protocol: str, maps: str) -> pd.DataFrame:
    """The score table of an entry's maps."""
    trials, asked, _ = _trials(protocol)
    path = default_board() / submission_path(protocol, slug) / maps
    predictions = check_predictions(path, trials)
    if asked.answers == "retrieval":
        return retrieval_scores(predictions, trials)
    under = under_dialect(trials, asked)
    return score_table(StoredMaps(predictions, under), under, measures_of(asked))


def score_table(maps: Maps, trials: TrialSet, measures: Sequence[Measure]) -> pd.DataFrame:
    """The score table of maps, with the trials that are scored."""
    job = Job(maps, trials, measures)
    [table] = score_maps(job)
    return table[~job.set_apart]


def _value(scores: pd.DataFrame, measure: Measure) -> float:
    """A measure without the interval, which takes much longer."""
    counted = scores[counted_rows(scores, measure)]
    if measure.definition.is_mean:
        return float(per_trial(counted, measure).mean())
    assert measure.definition.overall is not None
    return measure.definition.overall(measure, *columns_of(counted, measure))


def figure(scores: pd.DataFrame, name: str, kind: str | None = None) -> float:
    """A measure in percent, of all trials of a score table or of those of one type."""
    rows = scores if kind is None else scores[scores["type"] == kind]
    return 100 * _value(rows, parse_measure(name))


@cache
def _figure(slug: str, protocol: str, maps: str, name: str, kind: str | None = None) -> float:
    return figure(_scores(slug, protocol, maps), name, kind)


@cache
def board_result(slug: str, protocol: str, blind: str | None = None) -> Result:
    """The result of an entry's maps, with the measures that claims read; beside blind ones."""
    folder = default_board() / submission_path(protocol, slug)
    trials, asked, controls = _trials(protocol)
    return score_file(
        folder / MAPS,
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
    return _figure(slug, protocol, MAPS, name)


def heard_of_type(slug: str, kind: str, name: str) -> float:
    """The same, on the trials of Type A or of Type B."""
    return _figure(slug, "type-ab", MAPS, name, kind)


def unheard(slug: str, protocol: str, name: str) -> float:
    """The figure of the model's own audio-blind map."""
    return _figure(slug, protocol, AUDIO_BLIND, name)


def audio_blind(slug: str, protocol: str, name: str) -> list[float]:
    """The figure of the model's own audio-blind map, and of each prior."""
    priors = _trials(protocol)[0].protocol.controls.priors
    assert priors
    return [unheard(slug, protocol, name), *(heard(prior, protocol, name) for prior in priors)]


@cache
def floor(protocol: str, name: str) -> float:
    """The figure of the best trivial map."""
    controls, measure = _trials(protocol)[2], parse_measure(name)
    assert controls is not None
    values = [_value(table, measure) for table in controls.floors.values()]
    best = measure.best(values)
    assert best is not None
    return 100 * values[best]
