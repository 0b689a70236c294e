"""In video of the embedded world all things move as far; what sounds moves with its own sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.media.video_input import VideoInput
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.motion import loudness, path
from ssl_bench.testsets.synth import World
from ssl_bench.testsets.synth.motion import REACH
from ssl_bench.testsets.synth.sounds import RATE
from ssl_bench.testsets.synth.world import Scene

VIDEO = VideoInput(frames=5, rate=10)
WORLD = World()


def offsets(scene: Scene) -> NDArray[np.float64]:
    """How far each thing is from its place, ``(things, 41)`` pixels."""
    ways = WORLD.paths(scene, VideoInput(frames=41, rate=25))
    return np.hypot(ways[..., 0], ways[..., 1])


def test_the_middle_frame_is_the_picture_and_others_depend_on_no_other_frame() -> None:
    world = open_test_set("synth", options={"count": 2})
    name = world.samples[1].id
    frames = world.frames(name, VIDEO)
    assert (frames[2] == world.image(name)).all()
    assert (frames != frames[2]).any()
    assert (world.frames(name, VideoInput(frames=3, rate=10)) == frames[1:4]).all()


def test_a_thing_moves_with_its_own_sound_only_where_it_sounds() -> None:
    first, second = (WORLD.scene("interactive", index) for index in (0, 1))
    assert (first.labels == second.labels).all()
    [sounding] = first.sounding
    heard = loudness(WORLD.sound(first).astype(np.float64), RATE)
    at = [len(heard) // 2 + round(each / 25 * 11_025) for each in range(-20, 21)]
    expected = np.abs(heard[at] - heard[len(heard) // 2])
    alike = [np.corrcoef(expected, offsets(each)[sounding])[0, 1] for each in (first, second)]
    assert alike[0] > 0.8 > abs(alike[1])


def test_things_that_sound_and_things_that_do_not_move_as_far() -> None:
    far: dict[bool, list[float]] = {True: [], False: []}
    for index in range(24):
        scene = WORLD.scene("two-source", index)
        for thing, way in zip(scene.objects, offsets(scene), strict=True):
            far[thing.sounding].append(float(way.mean()))
    heard, silent = (np.mean(each) for each in far.values())
    assert 0.75 < heard / silent < 1.33


def test_a_sound_of_one_loudness_moves_nothing() -> None:
    still = path(np.ones(22_050), RATE, 0.25, (-0.5, 0.0, 0.5), REACH)
    assert still == [(0, 0), (0, 0), (0, 0)]
