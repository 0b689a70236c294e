"""Frames that a model asks for: where they lie in a file, and the sound around each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_videos import Made, make_video, number_of
from refusals import refused

from ssl_bench.arguments import ArgumentError
from ssl_bench.media.video import open_video
from ssl_bench.media.video_input import VideoInput, sound_at_frames
from ssl_bench.media.waveform import Waveform


@pytest.mark.parametrize(("frames", "rate"), [(4, 10), (0, 10), (257, 10), (5, 0), (5, -1)])
def test_no_middle_and_no_rate_are_refused(frames: int, rate: float) -> None:
    with refused("E_ARGUMENT", kind=ArgumentError):
        VideoInput(frames, rate)


def test_frames_of_a_file_lie_around_the_second_and_stand_still_beyond_its_ends(
    tmp_path: Path,
) -> None:
    path = make_video(tmp_path / "clip.mp4", Made(count=30))
    with open_video(path) as video:
        found = video.frames(0.6, VideoInput(frames=3, rate=5))
        assert [number_of(each) for each in found] == [10, 15, 20]
        early = video.frames(0.0, VideoInput(frames=3, rate=5))
        assert [number_of(each) for each in early] == [0, 0, 5]
        late = video.frames(1.2, VideoInput(frames=3, rate=5))
        assert [number_of(each) for each in late] == [25, 29, 29]
        picture = np.full((40, 64, 3), 7, np.uint8)
        like = video.frames(0.6, VideoInput(frames=3, rate=5), picture)
        assert like.shape == (3, 40, 64, 3)
        assert (like[1] == picture).all()


def test_windows_over_an_end_of_the_sound_are_silent_there() -> None:
    sound = Waveform(np.full((10, 2), 2**14, np.int16), 10)
    windows = sound_at_frames(sound, VideoInput(frames=3, rate=2), 0.4)
    assert windows.shape == (3, 4, 2)
    assert windows[:, :, 1].tolist() == [[0, 0, 0.5, 0.5], [0.5] * 4, [0.5, 0.5, 0, 0]]
