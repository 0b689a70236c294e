"""What files say they were made with."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_bench.media.audio import examine_audio, write_wav
from ssl_bench.media.image import examine_image
from ssl_bench.media.origins import comment_of, origin_of
from ssl_bench.media.video import examine_video, write_video
from ssl_bench.media.waveform import Waveform

SETTINGS = {"convention": "vggss", "rate": 12.5, "seconds": None, "frames": 9}
NOISE = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
SOUND = Waveform(NOISE.reshape(-1, 1).astype(np.int16), 16000)


def write_jpeg(path: Path, comment: str) -> None:
    Image.fromarray(NOISE[0]).resize((900, 900)).save(path, "JPEG", comment=comment)


def write_moving(path: Path, comment: str) -> None:
    shown = ((number / 25, pixels) for number, pixels in enumerate(NOISE))
    write_video(path, shown, SOUND, rate=25, comment=comment)


@pytest.mark.parametrize(
    ("name", "write", "examine"),
    [
        ("a.jpg", write_jpeg, examine_image),
        ("a.wav", lambda path, comment: write_wav(path, SOUND, comment), examine_audio),
        ("a.mp4", write_moving, examine_video),
    ],
)
def test_a_file_says_what_it_was_made_with_and_is_read_as_without(
    name: str, write: object, examine: object, tmp_path: Path
) -> None:
    assert callable(write)
    assert callable(examine)
    path = tmp_path / name
    write(path, "")
    assert origin_of(path) is None
    before = repr(examine(path))
    write(path, comment_of(SETTINGS))
    assert path.stat().st_size > 10_000  # so that both ends are not all of it
    assert origin_of(path) == SETTINGS
    assert repr(examine(path)) == before


@pytest.mark.parametrize("comment", ["x", "xy", "Made by ssl-bench with {nothing}"])
def test_another_comment_is_no_origin_and_the_sound_stays_whole(
    comment: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, SOUND, comment)
    assert origin_of(path) is None
    assert int.from_bytes(path.read_bytes()[4:8], "little") == path.stat().st_size - 8
    with wave.open(str(path)) as stream:
        assert stream.readframes(stream.getnframes()) == SOUND.samples.tobytes()


def test_what_is_missing_or_no_file_says_nothing(tmp_path: Path) -> None:
    assert origin_of(tmp_path / "none.jpg") is None
    assert origin_of(tmp_path) is None
