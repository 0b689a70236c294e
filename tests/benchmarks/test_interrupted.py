"""Evaluations that are killed go on with their parts, to the same bytes."""

from __future__ import annotations

from pathlib import Path

import interrupted
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "processes"])
def test_killed_evaluations_run_again(executor: str, tmp_path: Path) -> None:
    found = list(interrupted.tried(executor, 2, 2, tmp_path))
    assert any(each.hit for each in found)
    assert [each for each in found if each.wrong] == []
