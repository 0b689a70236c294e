"""The page on media, whose commands run as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from command_line import caller
from made_videos import Made, make_video

from ssl_bench.testsets.cutting import CONVENTIONS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "media.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="it is part of a checkout")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_the_conventions_are_listed_with_what_they_follow() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \|.*\| (\S+)", PAGE.read_text(), re.MULTILINE))
    follows = {name: each.source.partition(",")[0] + "," for name, each in CONVENTIONS.items()}
    assert listed == follows


@pytest.mark.slow
def test_the_commands_and_the_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    Path("data/vggss").mkdir(parents=True)
    make_video(Path("clips/party.mp4"), Made(count=150))
    names = [f"video{number:06d}_{number:06d}" for number in range(11)]
    for name in names:
        shutil.copy("clips/party.mp4", f"clips/{name}.mp4")
    entries = [{"file": name, "class": "party", "bbox": [[0, 0, 1, 1]]} for name in names]
    Path("data/vggss/vggss.json").write_text(json.dumps(entries))
    call = caller(capsys)
    commands = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    assert len(commands) == 9
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "ssl-bench"
        done = call(*words[1:])
        assert done.code == 0, command + done.err
    [code] = blocks("python")
    exec(code, {})
    made = (
        "data/vggss/frames",
        "train/videos/party.mp4",
        "trained",
        "party.pdf",
        "party-localized.mp4",
        "party.png",
    )
    assert all(Path(each).exists() for each in made)
