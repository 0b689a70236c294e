"""What is wrong with predictions, as a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl_bench.errors import PredictionsError
from ssl_bench.predictions import LIMITS, FileProblem, Limits, Question, check

IDS = ("t0", "t1", "t2", "t3")


def problems_of(
    path: Path, expected: Sequence[str] = IDS, *, limits: Limits = LIMITS, **question: Any
) -> list[FileProblem]:
    try:
        check(path, Question(expected, **question), limits=limits)
    except PredictionsError as error:
        return [each for each in error.problems if isinstance(each, FileProblem)]
    return []


def codes_of(path: Path, expected: Sequence[str] = IDS, **question: Any) -> list[str]:
    return [problem.code for problem in problems_of(path, expected, **question)]
