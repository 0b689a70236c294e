"""Errors that users see: one sentence, the place, the remedy."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path

import pytest

from ssl_bench import errors
from ssl_bench.errors import (
    AnnotationError,
    DataError,
    ImportedFilesError,
    PredictionsError,
    SslBenchError,
    WeightsError,
)

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__ and kind is not errors.Problem
]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SslBenchError("it broke"), "It broke."),
        (SslBenchError("it broke."), "It broke."),
        (SslBenchError("it broke", where="a.txt"), "a.txt: it broke."),
        (SslBenchError("it broke", where=Path("a") / "b"), "a/b: it broke."),
        (SslBenchError("it broke", remedy="mend it"), "It broke. Mend it."),
        (SslBenchError("it broke", where="a", remedy="Mend it."), "a: it broke. Mend it."),
    ],
)
def test_an_error_is_a_sentence_with_its_place_and_remedy(error: SslBenchError, text: str) -> None:
    assert str(error).casefold() == text.casefold()


def test_the_parts_are_at_hand_for_programs() -> None:
    error = WeightsError("the file is damaged", where=Path("w.bin"), remedy="restore it")
    assert (error.problem, error.where, error.remedy) == (
        "the file is damaged",
        "w.bin",
        "restore it",
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_can_be_caught_as_one(kind: type[Exception]) -> None:
    assert issubclass(kind, SslBenchError)


@pytest.mark.parametrize("kind", [AnnotationError, ImportedFilesError, PredictionsError])
def test_all_problems_of_a_file_are_listed(
    kind: type[AnnotationError | ImportedFilesError | PredictionsError],
) -> None:
    one = kind(["the first"], where="f")
    two = kind(["the first", "the second"], where="f")
    assert "f: 1 problem found" in str(one)
    assert "f: 2 problems found" in str(two)
    assert str(two).splitlines()[1:] == ["  - the first", "  - the second"]
    assert two.problems == ("the first", "the second")


@pytest.mark.parametrize(
    "error",
    [
        DataError("it broke", where="a", remedy="mend it"),
        AnnotationError(["one", "two"], where="a", remedy="mend it"),
        ImportedFilesError(["one", "two"], where="a"),
        PredictionsError(["one", "two"], where="a"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_process_borders_whole(error: SslBenchError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
