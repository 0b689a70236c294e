"""Fixtures of the tests of the embedded world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.testsets.synth.world import Scene, World


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of these tests' own: never the user's."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", autouse=True)
def own_cache(cache: Path) -> Iterator[None]:
    """It is the cache for these tests alone: others go on with the one that they have filled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(cache))
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
