"""Clips in files as training examples."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_videos import Made, make_video, number_of, picture_of
from PIL import Image
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media.image import read_image
from ssl_bench.media.video_input import VideoInput
from ssl_bench.models.sounds import LogMelAudio, prepare_sound
from ssl_bench.training.clips import Clip, ClipSource
from ssl_bench.training.folder import open_user_folder

FRONT_END = partial(prepare_sound, preprocessing=LogMelAudio(rate=16000, window=128, hop=64))
CLIPS = [f"video{number}_000010" for number in range(12)]


@pytest.fixture
def folder(tmp_path, write_media) -> Path:
    write_media(tmp_path / "mine", CLIPS)
    return tmp_path / "mine"


def scenes(folder: Path) -> ClipSource:
    return ClipSource(open_user_folder(folder).clips, FRONT_END)


def test_files_are_read_when_they_are_asked_for(folder):
    found, clip = pickle.loads(pickle.dumps(scenes(folder))), open_user_folder(folder).clips[1]
    assert np.array_equal(found.image(1), read_image(clip.image))
    assert found.sound(1).shape[:2] == (1, 64)
    assert found.categories.tolist() == [-1] * 12
    clip.image.unlink()
    with refused(kind=DataError, where=clip.id):
        found.image(1)


def test_a_shifted_clip_is_rolled_as_a_whole(tmp_path):
    samples = np.arange(400, dtype=np.int16)[:, None]
    soundfile.write(tmp_path / "clip.wav", samples, 16000)
    Image.new("RGB", (4, 4)).save(tmp_path / "clip.png")
    clip = Clip("clip", tmp_path / "clip.png", tmp_path / "clip.wav")
    heard = ClipSource([clip], lambda sound: sound.samples[None].astype(np.float32))
    assert np.array_equal(heard.sound(0, 0.25)[0, :, 0], np.roll(np.arange(400), 100))
    assert np.array_equal(heard.sound(0)[0, :, 0], np.arange(400))


def test_a_sound_that_the_model_cannot_take_is_named_with_its_file(folder):
    front_end = partial(prepare_sound, preprocessing=LogMelAudio())
    wrong = ClipSource(open_user_folder(folder).clips, front_end)
    with refused(kind=DataError, where=f"{CLIPS[0]}.wav"):
        wrong.sound(0)


def test_digest_tells_which_files_were_read(folder):
    first = scenes(folder).digest
    assert first == scenes(folder).digest
    Image.new("RGB", (64, 64)).save(folder / "frames" / f"{CLIPS[0]}.png")
    assert first != scenes(folder).digest


def test_frames_are_those_around_the_middle_of_the_video(tmp_path):
    make_video(tmp_path / "clip.mp4", Made(count=21, layout=""))
    Image.fromarray(picture_of(200)).save(tmp_path / "clip.png")
    clip = Clip("clip", tmp_path / "clip.png", video=tmp_path / "clip.mp4")
    seen = ClipSource([clip], video=VideoInput(frames=3, rate=5))
    assert [number_of(each) for each in seen.frames(0)] == [5, 200, 15]
    assert ClipSource([clip]).digest != seen.digest
