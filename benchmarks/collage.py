"""How long the scenes of `collage` take: processor time for each, and for opening 5,000."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.media.video_input import VideoInput
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.collage.testset import CollageTestSet


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def opened(count: int) -> CollageTestSet:
    test_set = open_test_set("collage", options={"count": count})
    assert isinstance(test_set, CollageTestSet)
    return test_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="scenes to render")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE_VARIABLE] = folder
        world = opened(1).world
        print(f"preparing all materials, once: {seconds(world.unreadable):.1f} s")
        scenes = [world.scene("standard", index) for index in range(count)]
        total = 0.0
        for name, render in (
            ("label maps", world.labels),
            ("images", world.image),
            ("sounds", world.sound),
        ):
            spent = seconds(lambda render=render: [render(scene) for scene in scenes])
            total += spent
            print(f"{name}: {1000 * spent / count:.1f} ms a scene")
        print(f"together: {count / total:.0f} scenes a second of processor time")
        video = VideoInput(frames=9, rate=10)
        spent = seconds(lambda: [world.frames(scene, video) for scene in scenes])
        print(f"{video.described()}: {1000 * spent / count:.1f} ms a scene")
        spent = seconds(lambda: (opened(5000).digest, opened(5000).samples))
        print(f"opening a split of 5,000: {spent:.2f} s")


if __name__ == "__main__":
    main()
