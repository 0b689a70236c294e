"""`data prepare`, as a user types it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from command_line import Call, caller
from made_videos import Made, make_video

from ssl_bench.cli.prepare import prepare
from ssl_bench.media.audio import read_audio
from ssl_bench.media.video import open_video
from ssl_bench.testsets.cutting import CONVENTIONS


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
    return caller(capsys)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    make_video(folder / "party.mp4")
    make_video(folder / "mute.mp4", Made(layout=""))
    return folder


def test_a_folder_is_filled_and_a_clip_that_lacks_something_exits_with_1(
    clips: Path, tmp_path: Path, call: Call
) -> None:
    target, problems = tmp_path / "train", tmp_path / "problems.csv"
    words = ("data", "prepare", target, "--clips", clips, "--jobs", 1)
    done = call(*words, "--problems", problems)
    assert done.code == 1
    assert "mute\tsound\tE_SOUND_TRACK" in done.out
    assert "images: 2 made, 0 kept; sounds: 1 made, 0 kept; not made: 1" in " ".join(
        done.out.split()
    )
    [row] = csv.DictReader(problems.open())
    assert (row["code"], row["id"]) == ("E_SOUND_TRACK", "mute")
    (clips / "mute.mp4").unlink()
    again = call(*words, "--json")
    assert again.code == 0
    told = json.loads(again.out)
    assert (told["made"], told["kept"]) == (
        {"images": 0, "sounds": 0, "videos": 0},
        {"images": 1, "sounds": 1, "videos": 0},
    )
    assert told["convention"]["source"] == CONVENTIONS["middle"].source


def test_the_rate_and_the_channels_of_sounds_are_given(
    clips: Path, tmp_path: Path, call: Call
) -> None:
    call(
        "data",
        "prepare",
        tmp_path / "t",
        "--clips",
        clips,
        "--rate",
        22050,
        "--channels",
        2,
        "--jobs",
        1,
    )
    sound = read_audio(tmp_path / "t" / "audio" / "party.wav")
    assert (sound.rate, sound.samples.shape[1]) == (22050, 2)


def test_videos_are_made_when_they_are_asked_for(clips: Path, tmp_path: Path, call: Call) -> None:
    words = ("data", "prepare", tmp_path / "t", "--clips", clips, "--jobs", 1, "--json")
    told = json.loads(call(*words, "--videos", "--video-frames", 9, "--video-rate", 30).out)
    assert (told["made"]["videos"], told["codes"]) == (2, {"E_SOUND_TRACK": 1})
    with open_video(tmp_path / "t" / "videos" / "party.mp4") as video:
        assert (len(list(video.pictures())), video.rate) == (9, 30)


@pytest.mark.parametrize("other", [("--video-rate", 10), ("--video-frames", 5)])
def test_videos_with_other_settings_are_made_again_and_counted(
    other: tuple[str, float], clips: Path, tmp_path: Path, call: Call
) -> None:
    words = ("data", "prepare", tmp_path / "t", "--clips", clips, "--jobs", 1, "--videos")
    asked = {"--video-frames": 9, "--video-rate": 30}
    first = [each for pair in asked.items() for each in pair]
    call(*words, *first)
    kept = json.loads(call(*words, *first, "--json").out)
    assert (kept["made"]["videos"], kept["kept"]["videos"]) == (0, 2)
    asked |= dict([other])
    second = [each for pair in asked.items() for each in pair]
    done = call(*words, *second)
    said = " ".join(done.out.split())
    assert "images: 0 made, 2 kept; sounds: 0 made, 1 kept; videos: 2 made, 0 kept;" in said
    assert "made again, as they had other settings: 2" in said
    with open_video(tmp_path / "t" / "videos" / "party.mp4") as video:
        assert len(list(video.pictures())) == asked["--video-frames"]
        assert float(video.rate) == pytest.approx(asked["--video-rate"], abs=0.1)
    told = json.loads(call(*words, *first, "--json").out)
    assert told["again"] == {"images": 0, "sounds": 0, "videos": 2}
    assert not any(told["unknown"].values())


def test_an_even_number_of_frames_is_refused(clips: Path, tmp_path: Path, call: Call) -> None:
    words = ("--videos", "--video-frames", 4)
    done = call("data", "prepare", tmp_path / "t", "--clips", clips, *words)
    assert done.code == 2
    assert "E_ARGUMENT" in done.err


@pytest.mark.parametrize(
    ("name", "code"),
    [("vgss", "E_TEST_SET"), ("synth", "E_TEST_SET"), ("vggss", "E_DATA_FOLDER")],
)
def test_a_name_that_has_no_clips_is_refused(name: str, code: str, clips: Path, call: Call) -> None:
    done = call("data", "prepare", name, "--clips", clips)
    assert done.code == 2
    assert code in done.err


def test_clips_that_are_no_folder_are_refused(tmp_path: Path, call: Call) -> None:
    done = call("data", "prepare", tmp_path / "t", "--clips", tmp_path / "none")
    assert done.code == 2
    assert "E_FOLDER_MISSING" in done.err


def test_the_help_names_the_conventions_that_there_are() -> None:
    [option] = [each for each in prepare.params if each.name == "convention"]
    assert list(option.type.choices) == list(CONVENTIONS)  # type: ignore[attr-defined]
