"""Every baseline answers every protocol of the embedded world as it is installed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ssl_bench.analysis.evaluation import run
from ssl_bench.analysis.request import Request
from ssl_bench.models.registry import list_ready_baselines, load_baseline
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.statistics import bootstrap
from ssl_bench.trials.compositions import resolve_protocols

SAMPLES = 12
AUDIO_VISUAL = [
    name for name in list_ready_baselines() if load_baseline(name).card.modality == "audio-visual"
]
TRAINED = [
    name for name in list_ready_baselines() if load_baseline(name).card.modality != "trivial"
]
RANKINGS = {"retrieval"}
"""Protocols that only models with a similarity of images and sounds can answer."""


@pytest.fixture
def protocols(monkeypatch: pytest.MonkeyPatch) -> list[Protocol]:
    """What ``--protocol all`` means without a data folder, on few samples, without controls."""
    monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
    # No interval is read here.
    monkeypatch.setattr(bootstrap, "FEWER_RESAMPLES", 10)
    smaller = []
    for protocol in resolve_protocols("all"):
        options = {**protocol.test_set.options, "count": SAMPLES}
        test_set = protocol.test_set.model_copy(update={"options": options})
        controls = protocol.controls.model_copy(
            update={"floors": (), "ceiling": False, "priors": ()}
        )
        smaller.append(protocol.model_copy(update={"test_set": test_set, "controls": controls}))
    return smaller


def test_all_means_every_protocol_of_the_embedded_world(protocols: list[Protocol]) -> None:
    assert {protocol.test_set.name for protocol in protocols} == {"synth"}
    kinds = {protocol.composition.kind for protocol in protocols}
    assert {"single", "concat", "retrieval"} <= kinds
    assert {protocol.name for protocol in protocols} >= RANKINGS


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_baseline_answers_every_protocol(
    name: str, protocols: list[Protocol], tmp_path: Path
) -> None:
    done = run(Request(name, folder=tmp_path), protocols)
    expected = {protocol.name for protocol in protocols}
    if name not in AUDIO_VISUAL:
        expected -= RANKINGS
    assert {each.result.protocol.name for each in done} == expected
    for each in done:
        assert each.result.measures
        for measured in each.result.measures:
            assert measured.value is not None, measured.measure
            assert math.isfinite(measured.value), measured.measure
        if name in AUDIO_VISUAL and each.result.protocol.name not in RANKINGS:
            assert each.result.vision_only is not None
