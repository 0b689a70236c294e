"""Commands that are killed leave old files or new ones, and run again as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import kills
import pytest

from ssl_bench.files import write_text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evaluate", "export"])
def test_killed_commands_run_again(name: str, tmp_path: Path) -> None:
    kills.load_everything()
    found = list(kills.tried(name, 3, 1, tmp_path))
    assert len(found) == 3
    assert any(each.hit for each in found)
    assert [each for each in found if each.wrong] == []


@pytest.mark.slow
def test_a_writer_in_two_steps_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file of its own is whole, but not the two together."""

    def call(folder: Path, _words: str) -> None:
        for name in "ab":
            write_text(folder / "run" / f"{name}.txt", "new")

    monkeypatch.setattr(kills, "call", call)
    monkeypatch.setattr(kills, "make_inputs", lambda folder: None)
    monkeypatch.setitem(kills.COMMANDS, "two", (0, "", "two"))
    found = list(kills.tried("two", 16, 0, tmp_path))
    wrong = [each.wrong for each in found if "call" in each.how]
    assert set(wrong) == {"", "neither the old files nor the new ones"}
