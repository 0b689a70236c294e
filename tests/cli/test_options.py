"""From the options of a command to what it evaluates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ssl_bench.cli.options import request_of


def _given(**options: Any) -> dict[str, Any]:
    usual = {"variant": None, "weights": None, "alpha": None, "ogl": False, "seed": 0}
    return {**usual, "settings": {}, "data": None, "out": Path("run"), "jobs": 1, **options}


@pytest.mark.parametrize(
    ("settings", "alpha"),
    [({}, 0.9), ({"preset": "original"}, 0.9), ({"preset": "sslalign"}, 0.4)],
)
def test_the_usual_weight_of_the_map_is_that_of_the_preset(
    settings: dict[str, str], alpha: float
) -> None:
    given = _given(model="slavc", variant="full", ogl=True, settings=settings)
    assert request_of(given).alpha == alpha


def test_a_weight_that_was_given_is_taken() -> None:
    given = _given(model="slavc", variant="full", alpha=0.7, settings={"preset": "sslalign"})
    assert request_of(given).alpha == 0.7
