"""Tables keep every word, whatever the width of the terminal, and texts start at the left."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Call
from rich.console import Console

from ssl_bench.cli.terminal import first_that_fits, plain_table, print_whole, show, unbroken

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


def test_a_file_gets_no_more_than_80_columns_and_no_blanks_behind() -> None:
    lines = printed(400).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)


def test_no_text_is_cut_where_one_column_has_long_words() -> None:
    stream = io.StringIO()
    rows = [["model options", "a_word_of_forty_characters_" * 2, "some words of a sentence " * 6]]
    table = plain_table(None, ["what differs", "before", "meaning"], rows, texts=range(3))
    print_whole(Console(file=stream, width=80), table)
    assert rows[0][1] in stream.getvalue()
    assert "model options" in stream.getvalue()
    assert stream.getvalue().count("sentence") == 6


def test_sentences_break_between_words_and_paths_and_commands_do_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, command = f"a folder/{'b' * 90}", f"'ssl-bench data new {'c' * 70} --data data'"
    show(f"{'word ' * 30}{unbroken(path)} {command} {'word ' * 30}".rstrip())
    lines = capsys.readouterr().out.splitlines()
    assert path in lines
    assert command in lines
    assert max(len(line) for line in lines if line not in (path, command)) <= 80


def test_a_wide_table_breaks_no_cell() -> None:
    stream = io.StringIO()
    rows = [["a", "some words " * 20]]
    print_whole(Console(file=stream, width=400), plain_table(None, ["b", "c"], rows, wide=True))
    assert ("some words " * 20).strip() in stream.getvalue()


def test_a_title_is_a_sentence_of_its_own() -> None:
    stream = io.StringIO()
    title = "a title of more words than its table is wide " * 4
    print_whole(Console(file=stream, width=400), plain_table(title.strip(), ["b"], [["c"]]))
    lines = stream.getvalue().splitlines()
    assert " ".join(lines[: lines.index("")]) == title.strip()
    assert max(map(len, lines)) <= 80


def test_the_first_table_that_fits_is_taken_or_the_last() -> None:
    tables = [plain_table(None, ["a"], [["word " * count]]) for count in (40, 15, 1)]
    makers = [lambda made=made: made for made in tables]
    assert first_that_fits(makers) is tables[1]
    assert first_that_fits(makers, in_one_line=False) is tables[0]
    assert first_that_fits(makers[:1]) is tables[0]


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
    assert done.stderr.startswith("error[E_DISK_FULL]: standard output")


@pytest.mark.parametrize("group", ["data", "leaderboard", "import"])
def test_the_help_of_a_group_cuts_no_sentence(call: Call, group: str) -> None:
    assert "..." not in call(group, "--help").out.partition("Commands:")[2]


def ended(command: list[str], number: int, marker: Path) -> tuple[int, str]:
    """Code and messages of a command that gets a signal once a file is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ssl_bench", *command], stderr=subprocess.PIPE, text=True
    )
    while not marker.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    try:
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, told


IN_A_DESTRUCTOR = (
    "class Last:\n"
    "    def __del__(self):\n"
    "        os.kill(os.getpid(), signal.SIGTERM)\n"
    "        for _ in range(1000): pass\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("last", ["", IN_A_DESTRUCTOR], ids=["between", "in-a-destructor"])
def test_a_process_that_a_scheduler_ends_cleans_up(tmp_path: Path, last: str) -> None:
    marker = tmp_path / "started"
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nfrom pathlib import Path\n"
        f"from ssl_bench import AnnotationLocalizer\n{last}"
        "class Slow(AnnotationLocalizer):\n"
        "    name = 'slow'\n"
        "    def map_for(self, image_key, truth):\n"
        f"        {'Last()' if last else f'Path({str(marker)!r}).touch()'}\n"
        "        time.sleep(60)\n"
    )
    words = ["evaluate", "--model", f"{tmp_path / 'slow.py'}:Slow", "--protocol", "synth"]
    code, told = ended([*words, "--out", str(tmp_path / "run")], signal.SIGTERM, marker)
    # On a slow machine, the stage stands before it.
    assert (code, told.split()[-1]) == (143, "stopped")
    assert "Traceback" not in told
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} <= {"slow.py", "started"}


def test_a_name_that_is_not_utf8_is_refused_at_once(call: Call, tmp_path: Path) -> None:
    out = os.fsdecode(os.fsencode(tmp_path) + b"/o\xff")
    done = call("evaluate", "--model", "center", "--protocol", "synth", "--out", out)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[E_NAME_ENCODING]: ")
    assert "o\\udcff" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sign", ["\x9b", "\u202e", "\u2028", "\x1b"])
def test_names_from_files_cannot_steer_the_terminal(call: Call, tmp_path: Path, sign: str) -> None:
    done = call("score", tmp_path / f"a{sign}[2Jb.npz", "--protocol", "synth")
    assert done.code == 2
    assert sign not in done.err
    stream = io.StringIO()
    print_whole(Console(file=stream, width=80), plain_table(f"a{sign}", [f"b{sign}"], [[sign]]))
    print_whole(Console(file=stream, width=80), f"a{sign}b")
    assert sign not in stream.getvalue()


def test_one_trial_is_counted_as_one(call: Call, tmp_path: Path) -> None:
    words = ("predict", "--model", "center", "--protocol", "synth", "--out", tmp_path / "run")
    assert "maps of 1 trial (" in call(*words, "--limit", 1).out
    assert "maps of 2 trials (" in call(*words, "--limit", 2, "--overwrite").out


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "E_DISK_FULL"),
        (errno.EDQUOT, "E_DISK_FULL"),
        (errno.EFBIG, "E_FILE_TOO_LARGE"),
    ],
)
def test_a_full_disk_or_a_limit_is_to_blame_and_named(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def full(*_arguments: object, **_settings: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("ssl_bench.predictions.writer.PredictionsWriter._finish", full)
    out = tmp_path / "run"
    done = call("predict", "--model", "center", "--protocol", "synth", "--out", out)
    assert done.code == 2
    assert f"error[{code}]: {out / 'predictions.npz'}: " in done.err
    assert not out.exists()
