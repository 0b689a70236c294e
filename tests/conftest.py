"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import settings
from PIL import Image
from published_data import NEEDED, find, lay_out, why_left_out

# What is imported and collected stays: looking through it for garbage again and again takes long.
gc.disable()

MediaWriter = Callable[[Path, Sequence[str]], None]

# How long an example takes depends on what else the machine does.
settings.register_profile("ssl-bench", deadline=None, max_examples=25)
settings.load_profile("ssl-bench")

_TESTS = Path(__file__).parent
_TOGETHER = ("tests/baselines/", "tests/site/")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is left out, for a count of deselected tests does not say which they are."""
    chosen = str(config.option.markexpr)
    lines = [
        f"left out: {name} tests; run them with -m {name}"
        for name in ("slow", "browser")
        if f"not {name}" in chosen
    ]
    left_out = [test for test in NEEDED if why_left_out(test)]
    if left_out:
        missing = sorted({file for test in left_out for file in NEEDED[test] if not find(file)})
        lines.append(
            f"left out: {len(left_out)} of {len(NEEDED)} modules that check published annotations; "
            f"SSL_BENCH_DATA {'lacks' if os.environ.get('SSL_BENCH_DATA') else 'is not set:'} "
            + ", ".join(missing)
        )
    return lines


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``, keep in one process the files that share what is costly to make."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((folder for folder in _TOGETHER if file.startswith(folder)), file)

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """From here on there is garbage, among what was collected and stays there is none."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by name and with the reason, what needs annotations that are not there."""
    for item in items:
        if item.path.is_relative_to(_TESTS):
            reason = why_left_out(item.path.relative_to(_TESTS).as_posix())
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def coarse_pictures() -> Iterator[None]:
    """Few pixels, for most tests do not look at them; those of ``figures`` have them all."""
    from matplotlib import rc_context

    with rc_context({"savefig.dpi": 64}):
        yield


@pytest.fixture(scope="module")
def published_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Data folder of the reader's own annotations, which is ``SSL_BENCH_DATA`` meanwhile."""
    folder = tmp_path_factory.mktemp("published")
    lay_out(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_BENCH_DATA", str(folder))
        yield folder


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
