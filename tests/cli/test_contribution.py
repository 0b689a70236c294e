"""What ``contribution`` prints: a row for each kind of maps, and the rest where it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Call
from protocol_files import few_trials

from ssl_bench.analysis.contribution import document


@pytest.fixture
def words(call: Call, tmp_path: Path) -> list[object]:
    """The command, on stored maps of twelve trials."""
    protocol = tmp_path / "tiny.toml"
    protocol.write_text(few_trials(12, ["center"]))
    files = []
    for seed in (0, 1):
        out = tmp_path / f"run{seed}"
        call("predict", "--model", "random", "--seed", seed, "--protocol", protocol, "--out", out)
        files.append(out / "predictions.npz")
    return [
        *("contribution", "--predictions", files[0], "--without", f"mute={files[1]}"),
        *("--protocol", protocol, "--out", tmp_path / "out"),
    ]


def test_a_row_says_what_hearing_adds_and_its_p(call: Call, words: list[object]) -> None:
    done = call(*words)
    assert done.code == 0
    lines = done.out.splitlines()
    head = next(number for number, line in enumerate(lines) if "hearing adds" in line)
    assert lines[head].split()[-1] == "p"
    assert [line.split()[0] for line in lines[head + 2 : head + 5]] == ["with", "mute", "trivial"]
    assert max(map(len, lines[head : head + 5])) <= 80
    assert "McNemar" not in done.out


def test_wide_tables_hold_the_rest(call: Call, words: list[object]) -> None:
    out = call(*words, "--wide").out
    assert all(text in out for text in ("McNemar", "trials", "within breakdowns"))


def test_a_dialect_is_named_in_the_table(call: Call, words: list[object]) -> None:
    done = call(*words, "--dialect", "slavc")
    assert done.code == 0, done.err
    assert "dialect slavc" in done.out
    assert call(*words, "--dialect", "slavk", "--overwrite").code == 2


def test_of_two_runs_on_one_folder_the_second_says_what_to_do(
    call: Call, words: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "out" / "contribution.json"

    def overtaken(path: Path, found: document.Contribution) -> None:
        there.parent.mkdir()
        there.write_text("of another run")
        write(path, found)

    write = document.write_contribution
    monkeypatch.setattr(document, "write_contribution", overtaken)
    done = call(*words)
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("error[E_RUN_EXISTS]: ")
    [kept] = tmp_path.glob("out-*")
    assert str(kept) in done.err
    assert "another --out" in done.err
    assert (kept / "contribution.json").is_file()
    assert there.read_text() == "of another run"


def test_a_limit_belongs_to_a_model(call: Call, words: list[object]) -> None:
    refused = call(*words, "--limit", 3)
    assert (refused.code, "--limit" in refused.err) == (2, True)


@pytest.mark.slow
def test_a_limit_asks_the_first_images_only(call: Call, tmp_path: Path) -> None:
    protocol = tmp_path / "tiny.toml"
    protocol.write_text(few_trials(12, ["center"]))
    model = ("--model", "ezvsl", "--protocol", protocol, "--limit", 4, "--out", tmp_path / "out")
    done = call("contribution", *model)
    assert done.code == 0, done.err
    assert "8 of 12 trials are left out" in done.out
