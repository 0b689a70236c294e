"""Evaluations that are killed go on with their parts, to the same bytes."""

from __future__ import annotations

from pathlib import Path

import interrupted
import kills
import pytest

pytestmark = pytest.mark.slow

IMAGES = 48


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> interrupted.Calm:
    """What one process makes that nothing disturbs; all executors must make the same."""
    kills.load_everything()
    place = interrupted.Place(tmp_path_factory.mktemp("calm"), "", IMAGES, loaded=True)
    return interrupted.undisturbed(place, times=1)


@pytest.mark.parametrize("executor", ["local", "processes"])
def test_a_killed_evaluation_goes_on(executor: str, calm: interrupted.Calm, tmp_path: Path) -> None:
    """Killed when some parts are there; the benchmark itself kills at any time.

    One that ends before the signal comes is tried again.
    """
    for seed in range(1, 5):
        (tmp_path / str(seed)).mkdir()
        (found,) = interrupted.tried(
            *(executor, [1], seed, tmp_path / str(seed)),
            images=IMAGES,
            calm=calm,
            loaded=True,
            patience=60,  # the machine may do something else beside
        )
        assert found.wrong == ""
        if found.hit and found.taken > 0:
            return
    pytest.fail("no signal came while parts were there")
