"""The errors that a user can see.

Every error names what is wrong, where (a file, an id) and what to do about it. The command line
prints it as one sentence and exits with code 2; a user never sees a traceback for bad input.
"""

from __future__ import annotations

import difflib
import re
import struct
import traceback
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_MAX_CHARACTERS = 2500

# A word that begins a sentence; others, such as to_frame(), are names and keep their spelling.
_PLAIN_WORD = re.compile(r"(?!ssl-bench)[a-z]+(-[a-z]+)*(?=[\s,;:?]|$)")

ON_COMMAND_LINE: ContextVar[bool] = ContextVar("ON_COMMAND_LINE", default=False)
"""Whether the user typed a command; remedies then name its options, and else arguments."""

MAX_SHOWN = 50
"""Problems of one error that its text lists; further ones are counted."""


def one_of(known: Iterable[str], asked: str) -> str:
    """A remedy that lists the known names, led by the one that was probably meant.

    Examples
    --------
    >>> one_of(["concat", "synth"], "snyth")
    "did you mean 'synth'? Use one of: concat, synth"
    >>> one_of(["concat", "synth"], "mine")
    'use one of: concat, synth'
    >>> one_of([], "mine")
    'there is none'
    """
    names = dict.fromkeys(known)
    if not names:
        return "there is none"
    listed = f"use one of: {', '.join(names)}"
    folded = {name.casefold(): name for name in names}
    near = [
        name
        for name in difflib.get_close_matches(asked.casefold(), folded, n=1)
        # 'out' is in 'without', and means something else.
        if len(name) - len(asked) <= 2 or name.startswith(asked.casefold())
    ]
    if not near:
        return listed
    return f"did you mean {folded[near[0]]!r}? {capitalised(listed)}"


def capitalised(text: str) -> str:
    """A sentence that begins with a capital, unless it begins with a name.

    Examples
    --------
    >>> capitalised("use another"), capitalised("to_frame() shows them")
    ('Use another', 'to_frame() shows them')
    """
    return text[0].upper() + text[1:] if _PLAIN_WORD.match(text) else text


def ended(text: str) -> str:
    """A sentence with its full stop, unless it ends with another sign.

    Examples
    --------
    >>> ended("use another"), ended("did you mean this?")
    ('use another.', 'did you mean this?')
    """
    return text if text.endswith(("...", "?", "!")) else text.rstrip(".") + "."


def first_few(names: Sequence[str]) -> str:
    """The first five names, and dots where there are more.

    Examples
    --------
    >>> first_few("abcdef")
    'a, b, c, d, e, ...'
    """
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def escaped(text: str, *, name: bool = False) -> str:
    r"""Text with JSON's escapes for what cannot be printed: control characters, direction signs.

    Ends of lines and tabs stay, unless it is a `name`.

    Examples
    --------
    >>> print(escaped("a\x1b[2J\u202eb\n", name=True))
    a\u001b[2J\u202eb\u000a
    """
    kept = "" if name else "\n\t"
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable() or each in kept or unicodedata.category(each) == "Zs"
        else "".join(f"\\u{unit:04x}" for unit in _units(each))
        for each in text
    )


def _units(character: str) -> tuple[int, ...]:
    """What JSON's escapes are numbers of: one or two units of UTF-16."""
    data = character.encode("utf-16-be", "surrogatepass")
    return struct.unpack(f">{len(data) // 2}H", data)


def shortened(text: str, most: int) -> str:
    """Text of at most that many characters; messages do not grow with what they are about."""
    return text if len(text) <= most else text[: most - 1] + "…"


class SslBenchError(Exception):
    """Base class of all errors that ssl-bench raises on purpose.

    Parameters
    ----------
    problem
        What is wrong, as a sentence without a full stop.
    code
        Stable name of the kind of problem, ``E_`` and capitals; the class has a general one.
    where
        The file, folder or identifier concerned.
    remedy
        What the user can do about it, as a sentence without a full stop.

    Examples
    --------
    >>> error = DataError(
    ...     "the list is empty", code="E_LIST_EMPTY", where="ids.txt", remedy="write one id a line"
    ... )
    >>> str(error)
    'ids.txt: the list is empty. Write one id a line.'
    >>> error.code
    'E_LIST_EMPTY'
    """

    code = "E_SSL_BENCH"

    def __init__(
        self,
        problem: str,
        *,
        code: str | None = None,
        where: str | Path | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.code = code or type(self).code
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(self._sentence())

    def __reduce__(self) -> tuple[Any, ...]:
        # An error may come from a worker process, and its text does not give its keywords back.
        return _rebuilt, (type(self), self.args), self.__dict__

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all problems, each once; one for an error that names a single problem."""
        return (self.code,)

    def _sentence(self) -> str:
        text = shortened(self.problem, _MAX_CHARACTERS)
        if self.where is not None:
            text = f"{escaped(self.where, name=True)}: {text}"
        return escaped(ended(text) + self._remedy_sentence())

    def _remedy_sentence(self) -> str:
        return f" {ended(capitalised(self.remedy))}" if self.remedy else ""

    def advise(self, remedy: str) -> None:
        """Put another remedy in the place of the one that is told."""
        before, self.remedy = escaped(self._remedy_sentence()), remedy
        told = str(self.args[0])
        now = escaped(self._remedy_sentence())
        self.args = (told.replace(before, now, 1) if before else told + now,)


def _rebuilt(kind: type[SslBenchError], arguments: tuple[Any, ...]) -> SslBenchError:
    """An error of that text; its facts are put back afterwards."""
    return kind.__new__(kind, *arguments)


class Problem(str):
    """A sentence on one problem, with the entry, file or id concerned, and its code.

    Examples
    --------
    >>> problem = Problem("clip_7: the box is empty", "E_BOX_EMPTY")
    >>> problem, problem.code
    ('clip_7: the box is empty', 'E_BOX_EMPTY')
    """

    code: str

    def __new__(cls, text: str, code: str) -> Problem:
        """A sentence that carries its code."""
        problem = super().__new__(cls, text)
        problem.code = code
        return problem

    def __reduce__(self) -> tuple[Any, ...]:
        return Problem, (str(self), self.code)


class ProblemsError(SslBenchError):
    """Base class of the errors that list *all* problems that were found.

    Parameters
    ----------
    problems
        One sentence for each problem, with the entry, file or id concerned; a
        :class:`Problem` where it has a code of its own.
    code, where, remedy
        As for :class:`SslBenchError`.
    """

    _outcome: str  # what follows the count of problems in the sentence

    def __init__(
        self,
        problems: Sequence[str],
        *,
        code: str | None = None,
        where: str | Path,
        remedy: str | None = None,
    ) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{count} found{self._outcome}", code=code, where=where, remedy=remedy)
        shown = (
            escaped(shortened(problem, _MAX_CHARACTERS)) for problem in self.problems[:MAX_SHOWN]
        )
        lines = [str(self.args[0]), *(f"  - {problem}" for problem in shown)]
        if len(self.problems) > MAX_SHOWN:
            lines.append(f"  - and {len(self.problems) - MAX_SHOWN:,} more")
        self.args = ("\n".join(lines),)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all problems, each once, in the order of the problems."""
        return tuple(dict.fromkeys(getattr(each, "code", self.code) for each in self.problems))


class DataError(SslBenchError):
    """A test set's folder, annotation, image or sound is missing or unusable."""

    code = "E_DATA"


class AnnotationError(ProblemsError, DataError):
    """An annotation cannot be used; lists *all* problems that were found."""

    code = "E_ANNOTATION"
    _outcome = " in the annotation"


class MediaError(ProblemsError, DataError):
    """Images or sounds are missing or unusable; lists *all* problems that were found."""

    code = "E_MEDIA"
    _outcome = " in images, sounds and videos"

    @property
    def codes(self) -> tuple[str, ...]:
        """Its own code, and those of all problems."""
        return tuple(dict.fromkeys((self.code, *super().codes)))


class ProtocolError(SslBenchError):
    """A protocol or dialect file is unknown, malformed or inconsistent."""

    code = "E_PROTOCOL"


class MeasureError(SslBenchError):
    """A measure's text form is not known, or asks for a column that the scores lack."""

    code = "E_MEASURE"


class ArrayError(SslBenchError):
    """Arrays that a measure was given cannot be scored, or do not go together."""

    code = "E_ARRAY"


class ModelError(SslBenchError):
    """A localizer is unknown, misconfigured, or broke its contract."""

    code = "E_MODEL"


class WeightsError(SslBenchError):
    """A weights file is missing, damaged, or belongs to another network."""

    code = "E_WEIGHTS"


class PredictionsError(ProblemsError):
    """A predictions file cannot be scored; lists *all* problems that were found."""

    code = "E_PREDICTIONS"
    _outcome = " in the predictions"


class ImportedFilesError(ProblemsError):
    """Files made by other software cannot be taken over; lists *all* problems that were found."""

    code = "E_IMPORT"
    _outcome = ", nothing was written"


class ResultError(SslBenchError):
    """A result or scores file cannot be read or does not follow its schema."""

    code = "E_RESULT"


class LeaderboardError(SslBenchError):
    """An entry, a card or a board cannot be read, or does not follow its schema."""

    code = "E_LEADERBOARD"


class SubmissionError(ProblemsError, LeaderboardError):
    """Something cannot enter the leaderboard; lists *all* problems that were found."""

    code = "E_SUBMISSION"
    _outcome = ", the leaderboard was left as it is"


@contextmanager
def blamed(what: str) -> Iterator[None]:
    """Raise ModelError for whatever a model's own code raises, with the line that did.

    Examples
    --------
    >>> with blamed("mine.localize"):
    ...     1 / 0
    Traceback (most recent call last):
    ssl_bench.errors.ModelError: mine.localize raised ZeroDivisionError: division by zero ...
    """
    try:
        yield
    except SslBenchError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())
        raise ModelError(
            f"{what} raised {type(error).__name__}{': ' if text else ''}{text} "
            f"({Path(last.filename).name}, line {last.lineno})",
            code="E_MODEL_RAISED",
            remedy="correct it; called from Python, it shows the whole traceback",
        ) from error
