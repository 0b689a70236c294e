"""The page on test sets of one's own: its files, written as printed, and its commands, run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from command_line import caller
from own_sets import add_images, add_sounds

from ssl_bench.testsets import open_test_set

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-data.md"
BLOCK = re.compile(r"^```(\w+)\n(?:# (\S+)\n)?(.*?)^```$", re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="it is part of a checkout")


@pytest.mark.slow
def test_its_files_and_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    call = caller(capsys)
    for language, place, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language != "sh":
            Path(place).write_text(text, encoding="utf-8")
            continue
        for line in text.splitlines():
            done = call(*shlex.split(line)[1:])
            assert done.code == 0, f"{line}\n{done.out}{done.err}"
        add_images(Path("data/birds"), ["pond_1", "pond_2", "oak_1", "yard_1"])
        sounds = ("pond_1_duck", "pond_1_gull", "pond_2", "oak_1", "yard_1")
        add_sounds(Path("data/birds"), sounds)
    samples = {sample.id: sample for sample in open_test_set("birds", data="data").samples}
    assert samples["oak_1"].categories == ("owl", "squirrel")
    assert samples["pond_2"].group == samples["pond_1.gull"].group == "pond"
    assert len(open_test_set("birds", "ponds", data="data")) == 3
