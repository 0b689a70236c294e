"""Evaluations that are killed go on with their parts, to the same bytes."""

from __future__ import annotations

from pathlib import Path

import interrupted
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "processes"])
def test_a_killed_evaluation_goes_on(executor: str, tmp_path: Path) -> None:
    """Killed once, when some parts are there; the benchmark itself kills at any time."""
    (found,) = interrupted.tried(executor, [1], 1, tmp_path, images=48, warm=True)
    assert (found.hit, found.taken > 0, found.wrong) == (True, True, "")
