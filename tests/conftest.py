"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of golden vectors: ``SSL_BENCH_GOLDEN``, else the copy beside the tests."""
    given = os.environ.get("SSL_BENCH_GOLDEN")
    return Path(given) if given else Path(__file__).parent / "golden"
