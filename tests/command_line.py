"""The command line as a test calls it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator

from ssl_bench.cli.documents import DOCUMENTS, schema_of
from ssl_bench.cli.main import main


class Called(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Call = Callable[..., Called]


def document_of(words: Sequence[str], content: Any) -> str | None:
    """The kind of document that a command printed as JSON; None where it follows no schema."""
    asked = " ".join(words[:2])
    for name, kind in DOCUMENTS.items():
        if not {asked, words[0]} & set(kind.commands):
            continue
        several = content if kind.several and isinstance(content, list) else [content]
        checker = Draft202012Validator(schema_of(name))
        if all(checker.is_valid(each) for each in several):
            return name
    return None


def caller(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command, given as its words; what it prints as JSON must follow a schema."""

    def run(*arguments: object) -> Called:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        words = [str(argument) for argument in arguments]
        if "--json" in words and captured.out:
            content = json.loads(captured.out)
            assert document_of(words, content), f"{' '.join(words[:2])}: no schema fits {content}"
        return Called(code, captured.out, captured.err)

    return run
