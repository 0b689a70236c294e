"""`localize`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import Call, caller
from made_videos import Made, make_video
from PIL import Image

WORDS = ("--model", "center", "--model", "random")


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (80, 60), (9, 99, 9)).save("dog.png")
    soundfile.write("dog.wav", np.ones(4000, np.int16), 16000)
    return caller(capsys)


def test_a_picture_and_a_sound_give_a_figure_and_the_peaks(call: Call) -> None:
    done = call("localize", "dog.png", "dog.wav", *WORDS)
    assert done.code == 0
    assert "center: highest at column 39, row 29 of 80 x 60" in done.out
    assert "random: highest" in done.out
    assert Path("dog-localized.png").stat().st_size > 1000
    told = json.loads(call("localize", "dog.png", "dog.wav", *WORDS, "-o", "x.svg", "--json").out)
    assert told["peaks"]["center"] == [39, 29]
    assert (told["width"], told["height"], told["file"]) == (80, 60, "x.svg")


def test_a_video_gives_a_video(call: Call) -> None:
    make_video(Path("clip.mp4"), Made(count=20))
    done = call("localize", "clip.mp4", "--model", "center", "--maps", 1)
    assert done.code == 0
    assert "Wrote 20 pictures with their sound into clip-localized.mp4" in done.out
    assert Path("clip-localized.mp4").is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("dog.png", "none.wav"), "E_FILE_MISSING"),
        (("dog.wav", "dog.png"), "E_IMAGE_DAMAGED"),
        (("dog.png",), "give a SOUND"),
        (("dog.wav",), "E_VIDEO_DAMAGED"),
        (("dog.png", "dog.wav", "--model", "nobody"), "E_MODEL_UNKNOWN"),
        (("dog.png", "dog.wav", "-o", "dog.gif"), "E_PICTURE_FORMAT"),
        (("dog.png", "dog.wav", "-o", "dog.png"), "is what is to be localized"),
        (("dog.png", "dog.wav", *WORDS, "--weights", "one.pth"), "once for each --model"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    words: tuple[str, ...], told: str, call: Call
) -> None:
    model = () if "--model" in words else ("--model", "center")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    done = call("localize", *words, *model)
    assert done.code == 2
    assert told in done.err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize("words", [("ring", "dog.wav"), ("dog.png", "ring")])
def test_a_link_to_itself_is_no_file(words: tuple[str, ...], call: Call) -> None:
    Path("ring").symlink_to("ring")
    done = call("localize", *words, "--model", "center")
    assert done.code == 2
    assert done.err.startswith("error[E_FILE_MISSING]: ring")
