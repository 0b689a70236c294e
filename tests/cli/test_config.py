"""Options from a file, and options written to one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from command_line import Call

from ssl_bench.cli.config import ConfigurableCommand, ConfigurableGroup
from ssl_bench.cli.main import commands


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _leaves(group: click.Group, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from ((f"{name} {each}", leaf) for each, leaf in _leaves(found, ctx))
        else:
            yield name, found


def test_every_command_takes_a_file() -> None:
    leaves = dict(_leaves(commands, click.Context(commands)))
    without = {name for name, each in leaves.items() if not isinstance(each, ConfigurableCommand)}
    assert without == {"completion"}


@click.group(cls=ConfigurableGroup)
def _group() -> None:
    """A group."""


@_group.command("work")
@click.argument("first", required=False)
@click.argument("others", nargs=-1)
@click.option("-n", "--number", type=int, default=3)
@click.option("--share", type=float)
@click.option("--name", "names", multiple=True)
@click.option("--kind", type=click.Choice(["32", "16"]), default="32")
@click.option("--keep/--no-keep", default=True)
@click.option("--skip", "missing", flag_value="skip")
@click.option("--fail", "missing", flag_value="fail")
@click.option("--dry-run", is_flag=True)
@click.option("--where", type=click.Path(path_type=Path), default=Path("here"))
def _work(**given: Any) -> dict[str, Any]:
    """Return what was given."""
    return given


def _run(*words: str, config: str | None = None) -> dict[str, Any]:
    if config is not None:
        Path("c.toml").write_text(config)
        words = ("--config", "c.toml", *words)
    done: dict[str, Any] = _group.main(["work", *words], standalone_mode=False)
    return done


@pytest.mark.parametrize(
    ("config", "words", "name", "value"),
    [
        ("number = 5", (), "number", 5),
        ("number = 5", ("-n", "6"), "number", 6),
        ("share = 1", (), "share", 1.0),
        ('name = ["a", "-b"]', (), "names", ("a", "-b")),
        ('name = "a"', (), "names", ("a",)),
        ('name = ["a", "b"]', ("--name", "c"), "names", ("c",)),
        ("name = { x = 1, y = true }", (), "names", ("x=1", "y=true")),
        ("kind = 16", (), "kind", "16"),
        ("keep = false", (), "keep", False),
        ("no-keep = true", (), "keep", False),
        ("keep = false", ("--keep",), "keep", True),
        ("skip = true", (), "missing", "skip"),
        ("skip = true", ("--fail",), "missing", "fail"),
        ("dry-run = true", (), "dry_run", True),
        ('first = "a"', (), "first", "a"),
        ('first = "a"', ("b",), "first", "b"),
        ('first = "a"\nothers = ["-b", "c"]', (), "others", ("-b", "c")),
        ('others = ["b"]', ("a",), "others", ("b",)),
        ('where = "there"', (), "where", Path("there")),
    ],
)
def test_options_of_a_file(config: str, words: tuple[str, ...], name: str, value: object) -> None:
    assert _run(*words, config=config)[name] == value


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("a", "--", "-b", "ü"),
        ("-n", "7", "--share", "0.25", "--name", 'q"\\', "--name", "\x7f", "--no-keep", "--fail"),
        ("--dry-run", "--kind", "16", "--where", "a b", "--skip"),
    ],
)
def test_what_is_written_gives_the_same_options_again(words: tuple[str, ...]) -> None:
    first = _run("--save-config", "saved.toml", *words)
    assert _run("--config", "saved.toml") == first
    again = _run("--config", "saved.toml", "--save-config", "again.toml")
    assert again == first
    assert Path("again.toml").read_text() == Path("saved.toml").read_text()


def test_defaults_are_written_and_files_are_not() -> None:
    _run("--save-config", "saved.toml", "--skip")
    assert tomllib.loads(Path("saved.toml").read_text()) == {
        "number": 3,
        "kind": "32",
        "keep": True,
        "skip": True,
        "where": "here",
    }


@pytest.mark.parametrize(
    ("config", "code", "told"),
    [
        ("limt = 4", "E_CONFIG_KEY", "'limit'"),
        ("config = 'a'", "E_CONFIG_KEY", "'config'"),
        ("limit = '4'", "E_CONFIG_TYPE", "a whole number"),
        ("limit = true", "E_CONFIG_TYPE", "a whole number"),
        ("overwrite = 1", "E_CONFIG_TYPE", "true or false"),
        ("model = ['a']", "E_CONFIG_TYPE", "text"),
        ("option = [1]", "E_CONFIG_TYPE", "a list of such"),
        ("limit = 0", "E_CONFIG_VALUE", "--limit"),
        ("executor = 'x'", "E_CONFIG_VALUE", "--executor"),
        ("limit = ", "E_TOML", "not valid TOML"),
        (None, "E_FILE_MISSING", "--save-config"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(
    call: Call, config: str | None, code: str, told: str
) -> None:
    if config is not None:
        Path("c.toml").write_text(config)
    done = call("predict", "--model", "center", "--protocol", "synth", "--config", "c.toml")
    assert done.code == 2
    assert done.err.startswith(f"error[{code}]: c.toml: ")
    assert told in done.err


def test_a_command_line_that_is_wrong_is_no_fault_of_the_file(call: Call) -> None:
    Path("c.toml").write_text("limit = 2")
    done = call("predict", "--config", "c.toml", "--model", "center", "--limit", "x")
    assert done.err.startswith("error[E_USAGE]: ")


def test_a_run_is_repeated_from_its_file(call: Call) -> None:
    words = ("--model", "random", "--seed", "4", "--option", "resolution=3", "--limit", "2")
    first = call(
        *("predict", "--protocol", "synth", *words, "--out", "a", "--save-config", "c.toml"),
    )
    assert first.code == 0
    again = call("predict", "--config", "c.toml", "--out", "b", "--json")
    assert json.loads(again.out)["trials"] == 2
    files = [Path(each, "predictions.npz").read_bytes() for each in ("a", "b")]
    assert files[0] == files[1]
