"""Errors that users see: one sentence, the place, the remedy."""

from __future__ import annotations

import inspect
import json
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


@pytest.mark.parametrize("remedy", ["to_frame() shows them", "ssl-bench data says so", "--x is it"])
def test_a_name_at_the_start_of_a_remedy_keeps_its_spelling(remedy: str) -> None:
    assert str(SslBenchError("it broke", remedy=remedy)) == f"it broke. {remedy}."


def test_a_remedy_that_asks_ends_with_its_question_mark() -> None:
    assert str(SslBenchError("it broke", remedy="did you mean this?")).endswith("this?")


def test_another_remedy_takes_the_place_of_the_first() -> None:
    error = PredictionsError(["one", "two"], where="a.npz", remedy="give --out")
    error.advise("give folder=...")
    assert "--out" not in str(error)
    assert "Give folder=..." in str(error)
    assert "  - two" in str(error)


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


@pytest.mark.parametrize(
    "sign", ["\x1b", "\x7f", "\x9b", "\u202e", "\u2028", "\udcff", "\U000e0001"]
)
def test_what_cannot_be_printed_is_shown_as_json_writes_it(sign: str) -> None:
    text = errors.escaped(f"a{sign}b")
    assert text.isprintable()
    assert json.loads(f'"{text}"') == f"a{sign}b"
    for error in (
        SslBenchError("it broke", where=f"a{sign}b"),
        SslBenchError(f"the key a{sign}b"),
        PredictionsError([f"a{sign}b"], where="p.npz"),
    ):
        assert sign not in str(error)
        assert text in str(error)


def test_lines_stay_lines_except_in_names() -> None:
    assert errors.escaped("a\n\tb\u3000c") == "a\n\tb\u3000c"
    assert "\n" not in str(SslBenchError("it broke", where="a\nb"))


def test_a_message_does_not_grow_with_what_it_is_about() -> None:
    assert len(str(SslBenchError("x" * 10**6))) < 3000
    assert len(str(PredictionsError(["x" * 10**6] * 300, where="p.npz"))) < 200_000
