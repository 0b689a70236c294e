"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

MediaWriter = Callable[[Path, Sequence[str]], None]

_DATA = os.environ.get("SSL_BENCH_DATA")

# Checks of the published annotation need the user's own copy of it.
if _DATA is None or not (Path(_DATA) / "vggss" / "vggss.json").is_file():
    collect_ignore = ["testsets/test_vggss_published.py", "cli/test_vggss_trivial.py"]


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of golden vectors: ``SSL_BENCH_GOLDEN``, else the copy beside the tests."""
    given = os.environ.get("SSL_BENCH_GOLDEN")
    return Path(given) if given else Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def write_media() -> MediaWriter:
    """Write a small frame and a short sound for each id into a folder."""
    return _write_media


def _write_media(folder: Path, identifiers: Sequence[str]) -> None:
    for name in ("frames", "audio"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, identifier in enumerate(identifiers):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "frames" / f"{identifier}.png")
        samples = rng.integers(-32768, 32768, (400, 1)).astype(np.int16)
        soundfile.write(folder / "audio" / f"{identifier}.wav", samples, 16000)
