"""Runs of a protocol with few trials, to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib import rc_context
from protocol_files import few_trials

from ssl_bench.analysis.evaluation import evaluate


@pytest.fixture(autouse=True)
def fine_pictures() -> Iterator[None]:
    """With all of their pixels."""
    with rc_context({"savefig.dpi": "figure"}):
        yield


@pytest.fixture(scope="session")
def few_protocol(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("protocol") / "few.toml"
    path.write_text(few_trials(16, ["center"]) + 'priors = ["ogl-l1"]\n')
    return str(path)


@pytest.fixture(scope="session")
def runs(few_protocol: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model, the same with object guidance, and a trivial map."""
    root = tmp_path_factory.mktemp("runs")
    evaluate("ezvsl", few_protocol, folder=root / "ezvsl")
    evaluate("ezvsl", few_protocol, folder=root / "guided", alpha=0.4)
    evaluate("center", few_protocol, folder=root / "center")
    return {path.name: path for path in root.iterdir()}
