"""In video of collage all things move as far; what sounds moves with its own sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_collage import CAPABLE, make_folder
from numpy.typing import NDArray

from ssl_bench.media.video_input import VideoInput
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.collage.materials import RATE
from ssl_bench.testsets.collage.motion import unheard
from ssl_bench.testsets.collage.testset import CollageTestSet
from ssl_bench.testsets.collage.world import Scene, World
from ssl_bench.testsets.motion import loudness
from ssl_bench.trials.compositions import open_trials

VIDEO = VideoInput(frames=5, rate=10)
LONG = VideoInput(frames=41, rate=25)

Opened = dict[str, CollageTestSet]


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with recordings of four seconds whose loudness changes."""
    folder = make_folder(tmp_path_factory.mktemp("moving"))
    rng = np.random.default_rng(0)
    for category in CAPABLE:
        level = np.interp(np.arange(4 * RATE), np.arange(0, 4 * RATE, RATE // 8), rng.random(32))
        samples = level * rng.uniform(-0.5, 0.5, 4 * RATE)
        soundfile.write(folder / "collage" / "recordings" / f"{category}.wav", samples, RATE)
    return folder


@pytest.fixture(scope="module")
def opened(moving: Path) -> Opened:
    """Sixty samples of some splits."""
    found = {}
    for split in ("standard", "two-source", "interactive"):
        test_set = open_test_set("collage", split, data=moving, options={"count": 60})
        assert isinstance(test_set, CollageTestSet)
        found[split] = test_set
    return found


def offsets(world: World, scene: Scene) -> NDArray[np.float64]:
    """How far each thing is from its place, ``(things, 41)`` pixels."""
    ways = world.paths(scene, LONG)
    return np.hypot(ways[..., 0], ways[..., 1])


def test_the_middle_frame_is_the_picture_and_others_depend_on_no_other_frame(
    opened: Opened,
) -> None:
    for split in ("standard", "interactive"):
        test_set = opened[split]
        for sample in test_set.samples[:6]:
            frames = test_set.frames(sample.id, VIDEO)
            assert frames.shape == (5, 448, 448, 3)
            assert (frames[2] == test_set.image(sample.id)).all()
            assert (frames != frames[2]).any()
            fewer = test_set.frames(sample.id, VideoInput(frames=3, rate=10))
            assert (fewer == frames[1:4]).all()


def test_nothing_moves_but_things(opened: Opened) -> None:
    test_set = opened["standard"]
    scene = test_set.world.scene("standard", 2)
    frames = test_set.frames("standard-000002", VIDEO).astype(int)
    ways = test_set.world.paths(scene, VIDEO).astype(int)
    still = np.ones(frames.shape[1:3], np.bool_)
    for thing, way in zip(scene.things, ways, strict=True):
        for columns, rows in way.tolist():
            x, y = thing.x + columns - 2, thing.y + rows - 2
            still[max(y, 0) : y + thing.height + 4, max(x, 0) : x + thing.width + 4] = False
    assert still.mean() > 0.3
    assert not np.ptp(frames, axis=0)[still].any()
    first, *_ = scene.things
    # Where a thing stands alone, its pixels are elsewhere by its way, under the same grain.
    inside = slice(first.y + 8, first.y + first.height - 8)
    across = slice(first.x + 8, first.x + first.width - 8)
    columns, rows = ways[0, 0].tolist()
    moved = frames[0][inside.start + rows : inside.stop + rows]
    moved = moved[:, across.start + columns : across.stop + columns]
    assert np.median(np.abs(moved - frames[2][inside, across])) <= 10


def test_a_thing_moves_with_its_own_sound_only_where_it_sounds(opened: Opened) -> None:
    world = opened["interactive"].world
    alike: list[list[float]] = [[], []]
    for number in range(12):
        scenes = [world.scene("interactive", 2 * number + turn) for turn in (0, 1)]
        [sounding] = scenes[0].sounding
        heard = loudness(world.sound(scenes[0]).astype(np.float64), RATE)
        at = [len(heard) // 2 + round(each / 25 * RATE) for each in range(-20, 21)]
        expected = np.abs(heard[at] - heard[len(heard) // 2])
        for found, scene in zip(alike, scenes, strict=True):
            way = offsets(world, scene)[sounding]
            found.append(float(np.corrcoef(expected, way)[0, 1]))
    own, other = (np.median(each) for each in alike)
    assert own > 0.8 > other + 0.3


def test_things_that_sound_and_things_that_do_not_move_as_far(opened: Opened) -> None:
    far: dict[bool, list[float]] = {True: [], False: []}
    world = opened["two-source"].world
    for index in range(60):
        scene = world.scene("two-source", index)
        for thing, way in zip(scene.things, offsets(world, scene), strict=True):
            far[thing.sounding].append(float(way.mean()))
    heard, silent = (np.mean(each) for each in far.values())
    assert 0.75 < heard / silent < 1.33


def test_motion_tells_nothing_of_which_of_two_things_that_could_sound_does() -> None:
    recordings = {"cat": ["a cat"], "dog": ["a dog", "another dog"], "owl": ["an owl"]}
    rng = np.random.default_rng(0)
    drawn = {unheard(rng, "dog", ["cat"], recordings) for _ in range(30)}
    assert drawn == {"a dog", "another dog"}
    assert {unheard(rng, "wolf", ["cat", "dog"], recordings) for _ in range(9)} == {"an owl"}
    every = {unheard(rng, "wolf", ["cat", "dog", "owl"], recordings) for _ in range(60)}
    assert every == {"a cat", "a dog", "another dog", "an owl"}


def test_other_seeds_move_otherwise_and_one_seed_as_ever(moving: Path, opened: Opened) -> None:
    ways = []
    for seed in (0, 0, 1):
        options = {"count": 1, "seed": seed}
        test_set = open_test_set("collage", data=moving, options=options)
        assert isinstance(test_set, CollageTestSet)
        scene = opened["standard"].world.scene("standard", 0)
        ways.append(test_set.world.paths(scene, LONG))
    assert (ways[0] == ways[1]).all()
    assert (ways[0] != ways[2]).any()


@pytest.mark.parametrize("asked", ["concat@collage", "interactive@collage:interactive"])
def test_frames_are_composed_as_pictures_are(moving: Path, asked: str) -> None:
    trials = open_trials(asked, data=moving)
    shown = [trials.shown(trial, VIDEO) for trial in trials[:4]]
    for trial, frames in zip(trials[:4], shown, strict=True):
        assert (frames[2] == trials.image(trial.image)).all()
        assert (frames != frames[2]).any()
    if asked.startswith("interactive"):
        # One picture, of which another thing sounds and moves as is heard.
        assert trials[0].image == trials[1].image
        assert (shown[0] != shown[1]).any()
