"""Fixtures of the tests of the embedded world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.testsets.synth.world import Scene, World


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own: never the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def scenes(world: World) -> dict[str, list[Scene]]:
    """The first 400 scenes of each split."""
    return {
        split: [world.scene(split, index) for index in range(400)]
        for split in ("standard", "two-source", "interactive", "train")
    }
