"""Evaluations that are killed go on with their parts, to the same bytes."""

from __future__ import annotations

from pathlib import Path

import interrupted
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "processes"])
def test_a_killed_evaluation_goes_on(executor: str, tmp_path: Path) -> None:
    """Killed when some parts are there; the benchmark itself kills at any time.

    One that ends before the signal comes is tried again.
    """
    for seed in range(1, 5):
        (tmp_path / str(seed)).mkdir()
        (found,) = interrupted.tried(
            executor, [1], seed, tmp_path / str(seed), images=48, warm=True
        )
        assert found.wrong == ""
        if found.hit and found.taken > 0:
            return
    pytest.fail("no signal came while parts were there")
