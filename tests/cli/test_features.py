"""`data features`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Call, caller
from conftest import MediaWriter

from ssl_bench.training.neighbours import read_features


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    write_media: MediaWriter,
) -> Call:
    monkeypatch.chdir(tmp_path)
    write_media(tmp_path, ["a", "b", "c"])
    return caller(capsys)


def test_features_are_made_once(call: Call) -> None:
    words = ("data", "features", "--images", "frames", "--encoder", "trunk", "--neighbours", 2)
    done = call(*words)
    assert done.code == 0
    assert "3 clips, with neighbours; 3 encoded, 0 kept; not encoded: 0" in done.out
    assert read_features(Path("frames-features.npz"), ["c", "a"]).values.shape == (2, 64)
    again = json.loads(call(*words, "--json").out)
    assert (again["encoded"], again["written"]) == (0, False)


def test_a_sound_that_cannot_be_read_exits_with_1(call: Call) -> None:
    Path("audio/b.wav").write_bytes(b"")
    done = call("data", "features", "--sounds", "audio", "--encoder", "bands", "-o", "s.npz")
    assert done.code == 1
    assert "E_FILE_EMPTY" in done.out
    assert "2 clips; 2 encoded" in done.out
    assert Path("s.npz").is_file()


def test_images_or_sounds_must_be_named(call: Call) -> None:
    assert call("data", "features", "--encoder", "trunk").code == 2
    assert call("data", "features", "--images", "a", "--sounds", "b", "--encoder", "x").code == 2


def test_the_folder_may_be_the_one_that_one_is_in(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "frames")
    assert call("data", "features", "--images", ".", "--encoder", "trunk").code == 0
    assert (tmp_path / "frames-features.npz").is_file()
