"""Made cut-outs, sounds and photographs: the packages of Debian are not needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_collage import make_folder

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.collage.testset import CollageTestSet


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def opened(data: Path) -> dict[str, CollageTestSet]:
    """Sixty samples of each split."""
    found = {}
    for split in ("standard", "two-source", "interactive", "type-ab", "unseen-cutouts", "train"):
        test_set = open_test_set("collage", split, data=data, options={"count": 60})
        assert isinstance(test_set, CollageTestSet)
        found[split] = test_set
    return found
