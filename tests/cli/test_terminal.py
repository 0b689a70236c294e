"""Tables keep every word, whatever the width of the terminal, and texts start at the left."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Call
from rich.console import Console

from ssl_bench.cli.terminal import plain_table, print_whole

ROWS = [
    ["cIoU(adaptive)@0.5", "51.6  [47.2, 56.0]", "violet-rayed-triangle"],
    ["AUC", "47.2  [45.8, 48.7]", "a text of some words"],
]


def printed(width: int) -> str:
    stream = io.StringIO()
    screen = Console(file=stream, width=width, soft_wrap=True)
    table = plain_table("title", ["measure", "center", "sound"], ROWS, texts=(0, 2))
    print_whole(screen, table)
    return stream.getvalue()


@pytest.mark.parametrize("width", [1, 20, 40, 80])
def test_no_word_is_cut_where_the_terminal_is_narrow(width: int) -> None:
    text = printed(width)
    assert "…" not in text
    for word in " ".join(cell for row in ROWS for cell in row).split():
        assert word in text


def test_a_table_takes_no_more_than_the_terminal_has_where_its_words_fit() -> None:
    assert max(map(len, printed(60).splitlines())) <= 60 < max(map(len, printed(80).splitlines()))


@pytest.mark.parametrize("command", ["protocols", "models", "measures"])
def test_listed_texts_start_at_the_left(call: Call, command: str) -> None:
    lines = call(command).out.splitlines()
    head = next(line for line in lines if line.strip())
    column = head.split()[1]
    start = head.index(f" {column}") + 1
    row = lines[lines.index(head) + 2]
    assert not row[start].isspace()
    assert row[start - 1].isspace()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full here")
def test_a_full_disk_behind_standard_output_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ssl_bench", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error[E_FILE_ACCESS]: standard output")
    assert "No space left" in done.stderr


@pytest.mark.parametrize("group", ["data", "leaderboard", "import"])
def test_the_help_of_a_group_cuts_no_sentence(call: Call, group: str) -> None:
    assert "..." not in call(group, "--help").out.partition("Commands:")[2]
