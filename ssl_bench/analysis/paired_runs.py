"""Runs on the same trials, compared pair by pair: is a difference real, and where does it lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.analysis.run_folder import PREDICTIONS, VISION_ONLY
from ssl_bench.displays import Shown
from ssl_bench.errors import MeasureError, ResultError, one_of
from ssl_bench.files import sha256_of_file
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import load_dialect, load_protocol
from ssl_bench.schemas import Document
from ssl_bench.scoring.aggregate import counted_rows, paired_values, replicates, summarise
from ssl_bench.scoring.hearing import with_more_known
from ssl_bench.scoring.results import (
    Hearing,
    MeasuredValue,
    ModelIdentity,
    Result,
    differing_fields,
    read_result,
)
from ssl_bench.scoring.run import (
    ScoringOptions,
    score_deaf,
    under_dialect,
    without_sound_of,
)
from ssl_bench.scoring.score_file import SCORES, read_scores
from ssl_bench.scoring.settings import labels_of
from ssl_bench.statistics.bootstrap import CONFIDENCE
from ssl_bench.statistics.paired_tests import permutation_p_value
from ssl_bench.statistics.ties import holm, paired_p_value
from ssl_bench.trials.compositions import open_trials, with_split
from ssl_bench.trials.trial_set import TrialSet

_SUCCESS = 0.5


@dataclass(frozen=True, eq=False)
class Run:
    """What an evaluation left behind in its folder, and what it is called in a comparison."""

    folder: Path
    label: str
    result: Result
    scores: pd.DataFrame
    maps: Path | None = None  # Its predictions, where they are not those in the folder

    @property
    def model(self) -> ModelIdentity:
        """Its model, by the name that it has in a comparison."""
        return self.result.model.model_copy(update={"name": self.label})

    @property
    def predictions(self) -> Path:
        """The predictions that were scored; a run may have been left without them."""
        return self.maps or self.folder / PREDICTIONS


class Difference(Document):
    """One measure of two runs, on their common trials."""

    measure: str
    # first, second: Values on the common trials.
    first: MeasuredValue
    second: MeasuredValue
    difference: MeasuredValue  # First minus second, paired, with its interval
    # p_value, corrected: Of no difference: a paired permutation test for a mean over trials, else
    # from the bootstrap; before and after Holm's correction over all pairs of runs.
    p_value: float
    corrected: float
    tied: bool  # Whether the corrected test leaves open that there is no difference


class ChangedTrial(Document):
    """A trial on which two runs differ."""

    trial_id: str
    category: str
    first: float
    second: float


class Pair(Document):
    """Two runs compared."""

    first: str
    second: str
    n_trials: int  # Common trials
    differences: tuple[Difference, ...]  # Every measure that both have
    # only_first, only_second: Trials on which just one of them reaches a cIoU of 0.5; None for a
    # ranking.
    only_first: int | None
    only_second: int | None
    changed: tuple[ChangedTrial, ...]  # Trials whose cIoU differs most, largest difference first


class RunHearing(Document):
    """What hearing adds to each measure of a run, on all of its trials."""

    run: str
    measures: tuple[Hearing, ...]


class RunComparison(Shown, Document):
    """All pairs of some runs under one protocol, and how much of each run's score is hearing."""

    format: Literal["ssl-bench-compare/1"] = "ssl-bench-compare/1"
    protocol: str
    dialect: str
    runs: tuple[str, ...]
    partial: bool
    pairs: tuple[Pair, ...]
    hearing: tuple[RunHearing, ...] = ()

    @property
    def headline(self) -> str:
        """The runs, protocol and dialect, in one line."""
        return f"{', '.join(self.runs)} on {self.protocol}, dialect {self.dialect}"

    def to_frame(self) -> pd.DataFrame:
        """One row for each measure of each pair: both scores, and their paired difference.

        ``low`` and ``high`` bound the difference's 95 % interval; ``p`` is corrected for the number
        of comparisons.
        """
        return pd.DataFrame(
            {
                "first": pair.first,
                "second": pair.second,
                "measure": each.measure,
                "score_first": each.first.value,
                "score_second": each.second.value,
                "difference": each.difference.value,
                "low": each.difference.low,
                "high": each.difference.high,
                "p": each.corrected,
                "tied": each.tied,
            }
            for pair in self.pairs
            for each in pair.differences
        )


def read_run(path: Path) -> Run:
    """Read the result and the scores of a run, from its folder or the ``result.json`` in it."""
    folder = path if path.is_dir() else path.parent
    result = read_result(path)
    return Run(folder, result.model.name, result, read_scores_of(result, folder))


def read_scores_of(result: Result, folder: Path) -> pd.DataFrame:
    """Read the score table beside a result; ResultError if it is unusable or not the result's.

    It is the result's by its digest; beside a result of an earlier version, which has none, if it
    gives the same measures. The predictions beside it must be the result's too.
    """
    table = folder / SCORES
    scores = read_scores(table)
    _require_own_predictions(result, folder)
    if result.scores_sha256 is not None:
        same = sha256_of_file(table) == result.scores_sha256
    else:
        same = _gives(scores, result.measures)
    if not same:
        raise ResultError(
            f"this score table ({len(scores):,} rows) does not belong to the result.json beside it",
            code="E_SCORES_OTHER",
            where=table,
            remedy="keep the files of a run together, or evaluate or score again",
        )
    return scores


def _gives(scores: pd.DataFrame, measures: Sequence[MeasuredValue]) -> bool:
    """Whether a score table gives these measures, up to rounding."""
    # A measure may count only some of the trials, but never more than there are.
    counted = max((value.n_trials for value in measures), default=0)
    if "sounding" not in scores.columns or counted > len(scores):
        return False
    try:
        found = summarise(scores, [parse_measure(value.measure) for value in measures])
    except MeasureError:
        return False
    return all(
        (one.n_trials, one.n_groups) == (other.n_trials, other.n_groups)
        and np.allclose(_number(one), _number(other), rtol=0, atol=1e-9, equal_nan=True)
        for one, other in zip(found, measures, strict=True)
    )


def _number(value: MeasuredValue) -> float:
    return np.nan if value.value is None else value.value


def _require_own_predictions(result: Result, folder: Path) -> None:
    blind = None if result.vision_only is None else result.vision_only.predictions_sha256
    digests = {PREDICTIONS: result.predictions_sha256, VISION_ONLY: blind}
    for name, digest in digests.items():
        path = folder / name
        if digest is not None and path.is_file() and sha256_of_file(path) != digest:
            raise ResultError(
                f"these are not the predictions of the result.json beside them (digest "
                f"{digest[:12]})",
                code="E_PREDICTIONS_OTHER",
                where=path,
                remedy="keep the files of a run together, or score these predictions again",
            )


def require_unmixed(predictions: Path) -> None:
    """Refuse predictions in a run folder whose result is of others; ResultError."""
    with suppress(OSError):
        if predictions.name in (PREDICTIONS, VISION_ONLY):
            folder = predictions.parent
            if (folder / "result.json").is_file():
                _require_own_predictions(read_result(folder), folder)


def open_run_trials(
    folder: Path, result: Result, data: Path | None = None, *, reference: str | None = None
) -> tuple[TrialSet, TrialSet]:
    """The trials of a run, and the same under the dialect that scored it, where it has one.

    The run's protocol is found by its label, or by a `reference` where it does not ship.
    ResultError if the protocol or the test set at hand is not the one that was scored.
    """
    identity = result.protocol
    protocol = with_split(load_protocol(reference or identity.label), data=data)
    asked = protocol
    if identity.dialect != protocol.dialect:
        asked = protocol.under(load_dialect(identity.dialect))
    where = folder / "result.json"
    if asked.digest != identity.digest:
        problem = f"this run was scored under another version of {protocol.label}"
        remedy = "score its predictions again, or name its own protocol file"
        raise ResultError(problem, code="E_PROTOCOL_CHANGED", where=where, remedy=remedy)
    trials = open_trials(protocol, data)
    if trials.test_set.digest != result.test_set.digest:
        problem = f"this run was scored on another revision of {trials.test_set.name}"
        remedy = "score its predictions again"
        raise ResultError(problem, code="E_TEST_SET_CHANGED", where=where, remedy=remedy)
    return trials, trials if asked is protocol else under_dialect(trials, asked)


def compare_runs(
    runs: Sequence[Run],
    *,
    measures: Sequence[str] | None = None,
    without: Mapping[str, pd.DataFrame] = {},
    most: int = 10,
    seed: int = 0,
) -> RunComparison:
    """Compare every pair of two or more runs of one protocol, test set and dialect.

    Equal names are distinguished by what differs. Without `measures` (text forms), all that every
    run has are compared; `most` changed trials are named, and `seed` is that of resampling and
    permutations. Hearing is that of the results, which maps that are scored `without` the sound
    (see :func:`score_without`) can lower. ResultError if there are fewer than two runs, one is
    given twice, or they do not answer the same question; the message says in what they differ.
    """
    require_comparable(runs)
    named = _told_apart(runs)
    shared = common_measures([run.result for run in runs], measures)
    chosen = [parse_measure(text) for text in shared]
    couples = list(combinations(named, 2))
    tables = [_common_trials(one, other) for one, other in couples]
    p_values = np.array(
        [[_p_value(first, second, measure, seed) for measure in chosen] for first, second in tables]
    )
    corrected = np.stack([holm(column) for column in p_values.T], axis=1)
    pairs = []
    for place, ((one, other), (first, second)) in enumerate(zip(couples, tables, strict=True)):
        only_first, only_second, changed = _changed(first, second, most)
        differences = _differences(first, second, chosen, p_values[place], corrected[place], seed)
        pairs.append(
            Pair(
                first=one.label,
                second=other.label,
                n_trials=len(first),
                differences=differences,
                only_first=only_first,
                only_second=only_second,
                changed=changed,
            )
        )
    return RunComparison(
        protocol=runs[0].result.protocol.label,
        dialect=runs[0].result.protocol.conventions,
        runs=tuple(run.label for run in named),
        partial=any(run.result.coverage.partial for run in runs),
        pairs=tuple(pairs),
        hearing=tuple(
            RunHearing(run=run.label, measures=_hearing(run, shared, without, seed))
            for run in named
        ),
    )


def score_without(
    runs: Sequence[Run], files: Mapping[str, Path], *, data: Path | None = None, jobs: int = 1
) -> dict[str, pd.DataFrame]:
    """Score predictions that were made without the sound, by name, as some runs were scored.

    Raises
    ------
    SslBenchError
        If they listen, are those of a run or lack a trial of it, have the name of a prior that is
        run anyway, or the trials of the runs are not at hand.
    """
    from ssl_bench.engine.priors import require_own_names

    if not files:
        return {}
    first = runs[0]
    trials, asked = open_run_trials(first.folder, first.result, data)
    require_own_names(trials, {}, files)
    return score_deaf(
        files,
        trials,
        [open_predictions(run.predictions) for run in runs if run.predictions.is_file()],
        conventions=asked.protocol,
        options=ScoringOptions(jobs=jobs),
    )


def _hearing(
    run: Run, measures: Sequence[str], without: Mapping[str, pd.DataFrame], seed: int
) -> tuple[Hearing, ...]:
    """What hearing adds to some measures of a run; nothing where nothing is known of it."""
    known = {each.measure: each for each in run.result.hearing}
    if without and not known:
        nothing = {"best_without": None, "without_sound": None, "adds": None}
        known = {
            each.measure: Hearing(measure=each.measure, score=each, **nothing)
            for each in run.result.measures
        }
    found = [known[measure] for measure in measures if measure in known]
    if not (found and without):
        return tuple(found)
    more = without_sound_of(without, run.scores, measures)
    return with_more_known(run.scores, found, more, seed=seed)


def require_comparable(runs: Sequence[Run]) -> None:
    """Refuse one run alone, a run that is given twice, and runs of different questions."""
    if len(runs) < 2:
        raise ResultError(
            "one run alone cannot be compared", code="E_COMPARE_ONE", remedy="give two or more"
        )
    require_same_question(runs)
    seen: set[tuple[str, str]] = set()
    for run in runs:
        name = run.label, "" if run.maps is not None else str(run.folder.resolve())
        if name in seen:
            raise ResultError(
                "the same run is given twice",
                code="E_COMPARE_SAME",
                where=run.label if run.maps is not None else run.folder,
                remedy="give each run once",
            )
        seen.add(name)


def _differences(
    first: pd.DataFrame,
    second: pd.DataFrame,
    measures: Sequence[Measure],
    p_values: NDArray[np.float64],
    corrected: NDArray[np.float64],
    seed: int,
) -> tuple[Difference, ...]:
    values = zip(
        summarise(first, measures, seed=seed),
        summarise(second, measures, seed=seed),
        summarise(first, measures, other=second, seed=seed),
        p_values.tolist(),
        corrected.tolist(),
        strict=True,
    )
    return tuple(
        Difference(
            measure=own.measure,
            first=own,
            second=theirs,
            difference=change,
            p_value=p_value,
            corrected=fixed,
            tied=fixed >= 1 - CONFIDENCE,
        )
        for own, theirs, change, p_value, fixed in values
    )


def _changed(
    first: pd.DataFrame, second: pd.DataFrame, most: int
) -> tuple[int | None, int | None, tuple[ChangedTrial, ...]]:
    """Trials that only one of two gets right, and those that differ most; nothing for a ranking."""
    if "cIoU" not in first.columns or "cIoU" not in second.columns:
        return None, None, ()
    one, other = (np.nan_to_num(table["cIoU"].to_numpy(np.float64)) for table in (first, second))
    names = first["trial_id"].to_numpy(str)
    order = np.lexsort((names, -np.abs(one - other)))[:most]
    changed = tuple(
        ChangedTrial(
            trial_id=str(names[row]),
            category=str(first["category"].iloc[row]),
            first=float(one[row]),
            second=float(other[row]),
        )
        for row in order.tolist()
        if one[row] != other[row]
    )
    right, right_other = one >= _SUCCESS, other >= _SUCCESS
    return int(np.sum(right & ~right_other)), int(np.sum(right_other & ~right)), changed


def _p_value(first: pd.DataFrame, second: pd.DataFrame, measure: Measure, seed: int) -> float:
    if measure.definition.is_mean:
        values, others, groups = paired_values(first, second, measure)
        return permutation_p_value(np.nan_to_num(values - others), groups, seed=seed)
    one, other = (replicates(table, measure, seed=seed) for table in (first, second))
    value = summarise(first, [measure], other=second, seed=seed)[0].value
    if value is None or one.size == 0 or other.size == 0:
        return 1.0
    n_groups = first.loc[counted_rows(first, measure), "group"].nunique()
    return paired_p_value(value, one - other, n_groups)


def _common_trials(one: Run, other: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    common = sorted(set(one.scores["trial_id"]) & set(other.scores["trial_id"]))
    if not common:
        raise ResultError(
            f"it shares no trial with {one.folder}", code="E_COMPARE_DIFFERENT", where=other.folder
        )
    first, second = (
        run.scores.set_index("trial_id", drop=False).loc[common].reset_index(drop=True)
        for run in (one, other)
    )
    return first, second


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """The runs with distinct labels."""
    labels = labels_of([run.model for run in runs], [run.folder for run in runs])
    return [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]


def common_measures(results: Sequence[Result], asked: Sequence[str] | None = None) -> list[str]:
    """The measures `asked` for, or all, each of which every result has; ResultError otherwise."""
    known = [[value.measure for value in result.measures] for result in results]
    shared = [text for text in known[0] if all(text in others for others in known)]
    lacking = next((text for text in asked or () if text not in shared), None)
    if shared and lacking is None:
        return list(asked or shared)
    problem = "these results have no measure in common"
    if lacking is not None:
        problem = f"not every run has the measure {lacking!r}"
    remedy = one_of(shared, lacking) if shared and lacking is not None else "score them alike"
    raise ResultError(problem, code="E_MEASURE_MISSING", remedy=remedy)


def require_same_question(runs: Sequence[Run]) -> None:
    """Refuse runs of different protocols, test sets or dialects; the ResultError names both."""
    first = runs[0]
    for run in runs[1:]:
        differing = differing_fields(first.result, run.result)
        if differing:
            said = "; ".join(f"{name} {one!r}, not {other!r}" for name, one, other in differing)
            raise ResultError(
                f"it does not answer the same question as {first.folder}: {said}",
                code="E_COMPARE_DIFFERENT",
                where=run.folder,
                remedy="score both under one protocol, test set and dialect; 'ssl-bench explain' "
                "says what each difference means",
            )
