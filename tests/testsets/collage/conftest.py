"""Made cut-outs, sounds and photographs: the packages of Debian are not needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_collage import make_folder

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.collage.testset import CollageTestSet


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
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def opened(data: Path, cache: Path) -> dict[str, CollageTestSet]:
    """Sixty samples of each split."""
    splits = ("standard", "two-source", "interactive", "type-ab", "unseen-cutouts", "train")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(cache))
        for split in splits:
            test_set = open_test_set("collage", split, data=data, options={"count": 60})
            assert isinstance(test_set, CollageTestSet)
            found[split] = test_set
    return found
