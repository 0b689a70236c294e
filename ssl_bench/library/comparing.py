"""Runs compared and looked into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ssl_bench.analysis.explanation import Explanation
from ssl_bench.analysis.explanation import explain as explain_results
from ssl_bench.analysis.paired_runs import (
    RunComparison,
    compare_runs,
    require_comparable,
    score_without,
)
from ssl_bench.arguments import AnyPath, checked_arguments
from ssl_bench.figures.analysis import Analysis, analyse_runs
from ssl_bench.leaderboard.entry_runs import open_given, open_runs
from ssl_bench.library.given import AnyResult, AnyRun, names_of, path_of, paths_of, result_of


@checked_arguments
def compare(
    *runs: AnyRun,
    measures: Sequence[str] | None = None,
    without: Mapping[str, AnyPath] | None = None,
    board: AnyPath | None = None,
    data: AnyPath | None = None,
    changed: int = 10,
    jobs: int = 1,
) -> RunComparison:
    """Compare runs trial by trial: paired differences, with intervals and a test.

    Parameters
    ----------
    *runs
        Run folders, evaluations, or entries of the leaderboard (``leaderboard:PROTOCOL/NAME``, or a
        name alone on the protocol of the first run).
    measures
        None for all that the runs share.
    without
        Predictions made without the sound, by name, that count in the hearing of every run.
    board
        Folder of the leaderboard; None for the one of the checkout that you are in.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    changed
        How many of the trials that changed most are named.
    jobs
        Threads that score.

    Raises
    ------
    SslBenchError
        If the runs do not answer the same question, or a file cannot be used.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> one = ssl_bench.evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> other = ssl_bench.evaluate("full", "synth", folder=tempfile.mkdtemp())
    >>> compare(one, other).to_frame()["difference"].round(3).tolist()[:1]
    [0.176]
    """
    with open_runs(
        names_of(runs), path_of(board), data=path_of(data), jobs=jobs, hearing=True
    ) as opened:
        require_comparable(opened.runs)
        deaf = score_without(opened.runs, paths_of(without), data=path_of(data), jobs=jobs)
        return compare_runs(opened.runs, measures=measures, without=deaf, most=changed)


@checked_arguments
def explain(before: AnyResult, after: AnyResult) -> Explanation:
    """Everything that differs between two results; what changes scores most comes first.

    Parameters
    ----------
    before, after
        Results, evaluations, run folders or ``result.json`` files.

    Raises
    ------
    ResultError
        If a file is no result.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> one = ssl_bench.evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> explain(one, one.result).causes
    ()
    """
    return explain_results(result_of(before), result_of(after))


@checked_arguments
def analyse(
    *runs: AnyRun,
    out: AnyPath | None = None,
    labels: Sequence[str] = (),
    format: Literal["png", "pdf", "svg"] = "png",  # noqa: A002, as the command has it
    protocol: str | None = None,
    board: AnyPath | None = None,
    data: AnyPath | None = None,
    scores_only: bool = False,
    overwrite: bool = False,
    jobs: int = 1,
) -> Analysis:
    """Draw and tabulate what lies behind the numbers of one or several runs.

    Parameters
    ----------
    *runs, board, data, jobs
        As in :func:`compare`.
    out
        Folder to write to; None for ``RUN/analysis`` of one run, else ``analysis``.
    labels
        What each run is called; by default what tells them apart.
    format
        Of the figures.
    protocol
        Of the runs, where they name one that does not ship.
    scores_only
        Use the score tables alone, without test set and maps.
    overwrite
        Whether an earlier analysis may be replaced.

    Raises
    ------
    SslBenchError
        If the runs do not answer the same question, or a file cannot be used.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> done = ssl_bench.evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> found = analyse(done, scores_only=True)
    >>> sorted(path.name for path in found.files)
    ['analysis.csv', 'analysis.png', 'categories.png']
    """
    with open_given(names_of(runs), path_of(board), data=path_of(data), jobs=jobs) as given:
        return analyse_runs(
            given,
            path_of(out),
            labels=labels,
            ending=format,
            protocol=protocol,
            data=path_of(data),
            scores_only=scores_only,
            jobs=jobs,
            overwrite=overwrite,
        )
