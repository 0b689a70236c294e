"""The written pages: all are listed, their links lead somewhere, their commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from contents import DOCS, ROOT, listed
from made_from_code import every_command

from ssl_bench.cli.main import commands

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="it is part of a checkout")

PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if not {"made", "notebooks"} & set(path.relative_to(DOCS).parts)
)
WRITTEN = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "leaderboard" / "README.md"]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
BLOCK = re.compile(r"^```(\w+|\{code-cell\} ipython3)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

name_of = {path: path.relative_to(ROOT).as_posix() for path in WRITTEN}.__getitem__


def test_every_page_is_in_the_table_of_contents_once() -> None:
    written = {path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES} - {"index"}
    found = [name for name in listed() if not name.startswith("made/")]
    assert sorted(found) == sorted(written)


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    made = {name for name in listed() if name.startswith("made/")}
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        path = (page.parent / target).resolve()
        if "made" in path.parts:
            assert path.relative_to(DOCS).with_suffix("").as_posix() in made, target
        else:
            assert path.exists(), target


def commands_in(page: Path) -> Iterator[str]:
    """Commands of ssl-bench that a page prints or runs or that a table of it names, a line each."""
    for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in ("sh", "bash", "{code-cell} ipython3"):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.match(r"!?(?:.*&& \S*/)?(ssl-bench .*)", line.strip())
                if found:
                    yield found[1]
    for row in re.findall(r"^\|.*\|$", page.read_text(encoding="utf-8"), re.MULTILINE):
        yield from re.findall(r"`(ssl-bench [a-z][^`]*)`", row)


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_printed_commands_and_their_options_exist(page: Path) -> None:
    known = {"ssl-bench": commands, **dict(every_command())}
    for line in commands_in(page):
        words = shlex.split(line, comments=True)
        name = words.pop(0)
        while words and isinstance(known[name], click.Group) and not words[0].startswith("-"):
            name += f" {words.pop(0)}"
            assert name in known, line
        options = {each for option in known[name].params for each in option.opts}
        options |= {each for option in known[name].params for each in option.secondary_opts}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given - options - {"--help", "--version"} == set(), line
