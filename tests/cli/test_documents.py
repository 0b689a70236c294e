"""What ``--json`` prints: every command has schemas, and documents say their version."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_line import Call, document_of
from jsonschema import Draft202012Validator
from protocol_files import few_trials

from ssl_bench import cli
from ssl_bench.cli.documents import DOCUMENTS, schema_of
from ssl_bench.cli.main import commands


def _with_json(group: click.Group, ctx: click.Context, before: str = "") -> Iterator[str]:
    """The commands that take --json."""
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        if isinstance(found, click.Group):
            yield from _with_json(found, ctx, f"{name} ")
        elif found is not None and any("--json" in each.opts for each in found.params):
            yield f"{before}{name}"


def test_every_command_with_json_has_a_schema_and_no_other_has() -> None:
    documented = {each for kind in DOCUMENTS.values() for each in kind.commands}
    assert documented == set(_with_json(commands, click.Context(commands)))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_is_one_and_names_the_version(name: str) -> None:
    schema = schema_of(name)
    Draft202012Validator.check_schema(schema)
    form = schema.get("properties", {}).get("format", {}).get("const")
    # Arrays, what files of other kinds hold, and the record of a training run, which has a number.
    others = "dialects device-check protocols protocol trials models model measures measure train"
    assert (form is None) == (name in others.split())
    assert form is None or re.fullmatch(rf"ssl-bench-{name}/[1-9]", form)


def test_commands_print_json_as_documents_alone() -> None:
    """Nothing goes around the schemas."""
    printers = set()
    for path in Path(cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute | ast.Name):
                word = node.attr if isinstance(node, ast.Attribute) else node.id
                if word in ("print_json", "model_dump_json", "dumps"):
                    printers.add(path.name)
    # config writes TOML; listing prints the schemas.
    assert printers == {"config.py", "documents.py", "listing.py", "terminal.py"}


def test_schema_prints_that_of_the_result_or_of_a_document(call: Call) -> None:
    assert json.loads(call("schema").out) == schema_of("result")
    assert json.loads(call("schema", "compare").out) == schema_of("compare")
    listed = call("schema", "--list").out
    assert all(name in listed for name in DOCUMENTS)


def test_a_document_that_is_not_known(call: Call) -> None:
    done = call("schema", "comapre")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[E_DOCUMENT]: ")
    assert "'compare'" in done.err


def test_a_document_with_another_type_follows_no_schema() -> None:
    facts = {"format": "ssl-bench-cache/1", "folder": "x", "kinds": {}}
    assert document_of(["cache"], facts) == "cache"
    assert document_of(["cache"], {**facts, "folder": 1}) is None
    assert document_of(["cache"], {**facts, "format": "ssl-bench-cache/2"}) is None


@pytest.mark.slow
def test_documents_of_runs(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed of two runs on a few trials follows schemas, as `call` asserts."""
    monkeypatch.chdir(tmp_path)
    Path("few.toml").write_text(few_trials(8, floors=["full"]))
    Path("list.txt").write_text("standard-000000\n")
    on, sheet = ("--protocol", "few.toml"), ("--sheet", "0")
    for name in ("center", "random"):
        call("evaluate", "--model", name, *on, "--out", name, *sheet)
    maps, out = "center/predictions.npz", ("--out", "o", "--overwrite")
    printed = {
        "overlap": ("score", maps, *on, *sheet, *out, "--exclude-overlap", "list.txt"),
        "dialects": ("score", maps, *on, "--dialect", "all"),
        "validate": ("validate", maps, *on),
        "explain": ("explain", "center", "random"),
        "pictures": ("pictures", "center", *on, "--random", "1", "--out", "p.png"),
        "contribution": (
            *("contribution", "--predictions", maps, "--without", "random/predictions.npz"),
            *(*on, *out),
        ),
    }
    for name, words in printed.items():
        done = call(*words, "--json")
        assert done.code == 0, done.err
        assert document_of(words, json.loads(done.out)) == name
