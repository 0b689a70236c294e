"""The errors that a user can see.

Every error names what is wrong, where (a file, an id) and what to do about it. The command line
prints it as one sentence and exits with code 2; a user never sees a traceback for bad input.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def one_of(known: Iterable[str], asked: str) -> str:
    """A remedy that lists the known names, led by the one that was probably meant.

    Examples
    --------
    >>> one_of(["concat", "synth"], "snyth")
    "did you mean 'synth'? Use one of: concat, synth"
    >>> one_of(["concat", "synth"], "mine")
    'use one of: concat, synth'
    """
    names = dict.fromkeys(known)
    listed = f"use one of: {', '.join(names)}"
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(asked.casefold(), folded, n=1)
    if not near:
        return listed
    return f"did you mean {folded[near[0]]!r}? {listed[0].upper()}{listed[1:]}"


class SslBenchError(Exception):
    """Base class of all errors that ssl-bench raises on purpose.

    Parameters
    ----------
    problem
        What is wrong, as a sentence without a full stop.
    where
        The file, folder or identifier concerned.
    remedy
        What the user can do about it, as a sentence without a full stop.

    Examples
    --------
    >>> str(SslBenchError("the list is empty", where="ids.txt", remedy="put one id on each line"))
    'ids.txt: the list is empty. Put one id on each line.'
    """

    def __init__(
        self, problem: str, *, where: str | Path | None = None, remedy: str | None = None
    ) -> None:
        self.problem = problem
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(self._sentence())

    def __reduce__(self) -> tuple[Any, ...]:
        # An error may come from a worker process, and its keywords cannot be told from its text.
        return _rebuilt, (type(self), self.args), self.__dict__

    def _sentence(self) -> str:
        text = self.problem if self.where is None else f"{self.where}: {self.problem}"
        text = text.rstrip(".") + "."
        if self.remedy:
            text += f" {self.remedy[0].upper()}{self.remedy[1:].rstrip('.')}."
        return text


def _rebuilt(kind: type[SslBenchError], arguments: tuple[Any, ...]) -> SslBenchError:
    """An error of that text; its facts are put back afterwards."""
    return kind.__new__(kind, *arguments)


class ProblemsError(SslBenchError):
    """Base class of the errors that list *all* problems that were found.

    Parameters
    ----------
    problems
        One sentence for each problem, with the entry, file or id concerned.
    where
        The file or folder.
    remedy
        As for :class:`SslBenchError`.
    """

    _outcome: str  # what follows the count of problems in the sentence

    def __init__(
        self, problems: Sequence[str], *, where: str | Path, remedy: str | None = None
    ) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{count} found{self._outcome}", where=where, remedy=remedy)
        lines = [str(self.args[0]), *(f"  - {problem}" for problem in self.problems)]
        self.args = ("\n".join(lines),)


class DataError(SslBenchError):
    """A test set's folder, annotation, image or sound is missing or unusable."""


class AnnotationError(ProblemsError, DataError):
    """An annotation cannot be used; lists *all* problems that were found."""

    _outcome = " in the annotation"


class ProtocolError(SslBenchError):
    """A protocol or dialect file is unknown, malformed or inconsistent."""


class MeasureError(SslBenchError):
    """A measure's text form is not known, or asks for a column that the scores lack."""


class ModelError(SslBenchError):
    """A localizer is unknown, misconfigured, or broke its contract."""


class WeightsError(SslBenchError):
    """A weights file is missing, damaged, or belongs to another network."""


class PredictionsError(ProblemsError):
    """A predictions file cannot be scored; lists *all* problems that were found."""

    _outcome = ", nothing was scored"


class ImportedFilesError(ProblemsError):
    """Files made by other software cannot be taken over; lists *all* problems that were found."""

    _outcome = ", nothing was written"


class ResultError(SslBenchError):
    """A result or scores file cannot be read or does not follow its schema."""


class LeaderboardError(SslBenchError):
    """An entry, a card or a board cannot be read, or does not follow its schema."""


class SubmissionError(ProblemsError, LeaderboardError):
    """Something cannot enter the leaderboard; lists *all* problems that were found."""

    _outcome = ", the leaderboard was left as it is"
