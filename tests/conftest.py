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

# Checks of a published annotation need the user's own copy of it.
_NEEDED = {
    "testsets/test_vggss_published.py": ["vggss/vggss.json"],
    "cli/test_vggss_trivial.py": ["vggss/vggss.json"],
    "cli/test_audit_published.py": ["vggss/vggss.json", "vggss/vggss_144k_train.txt.gz"],
    "testsets/test_is3_published.py": ["is3/is3.csv"],
    "testsets/test_silent_published.py": [
        "vggss/vggss.json",
        "vggss/vggss_test_plus_silent.csv",
    ],
    "testsets/test_box_tables_published.py": [
        "avsbench-s4/avsbench_s4.csv",
        "avsbench-ms3/avsbench_ms3.csv",
        "vpo-ss/vpo_ss.csv",
        "vpo-ms/vpo_ms.csv",
    ],
}
collect_ignore = [
    test
    for test, files in _NEEDED.items()
    if _DATA is None or not all((Path(_DATA) / file).is_file() for file in files)
]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is left out, for a count of deselected tests does not say which they are."""
    chosen = str(config.option.markexpr)
    return [
        f"left out: {name} tests; run them with -m {name}"
        for name in ("slow", "browser")
        if f"not {name}" in chosen
    ]


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
