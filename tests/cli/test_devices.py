"""Devices and precision on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command_line import Call


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_a_device_that_is_not_there_is_refused(call: Call, tmp_path: Path) -> None:
    words = ("predict", "--model", "ogl-l1", "--protocol", "synth", "--out", tmp_path / "run")
    done = call(*words, "--device", "cuda")
    assert done.code == 2
    assert "use one of: auto, cpu" in done.err.lower()
    assert call(*words, "--device", "cpu", "--precision", "16").code == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("devices", ["cpu,cuda", "cpu,", ""])
def test_a_device_that_is_not_there_is_refused_before_a_process_starts(
    devices: str, call: Call, tmp_path: Path
) -> None:
    words = ("predict", "--model", "ogl-l1", "--protocol", "synth", "--out", tmp_path / "run")
    done = call(*words, "--device", devices)
    assert done.code == 2
    assert "E_DEVICE]" in done.err


def test_parts_may_be_at_an_address(call: Call, tmp_path: Path) -> None:
    words = ("predict", "--model", "ogl-l1", "--protocol", "synth", "--out", tmp_path / "run")
    done = call(*words, "--parts", "nosuch://bucket/parts")
    assert done.code == 2
    assert "E_PARTS_ADDRESS]: nosuch://bucket/parts:" in done.err
    assert not (tmp_path / "run").exists()


def test_a_sweep_computes_where_and_how_it_is_asked_to(call: Call, tmp_path: Path) -> None:
    words = ("sweep", "alpha", "--model", "ezvsl", "--protocol", "synth", "--values", "0.3,0.5")
    more = ("--limit", 8, "--out", tmp_path / "sweep", "--json")
    assert "E_DEVICE]" in call(*words, *more, "--device", "cpu,cuda").err
    done = call(*words, *more, "--precision", "bf16", "--workers", 1)
    assert done.code == 0, done.err
    assert "bf16" in " ".join(json.loads(done.out)["notes"])


@pytest.mark.slow
def test_the_result_says_where_and_how_it_was_computed(call: Call, tmp_path: Path) -> None:
    words = ("evaluate", "--model", "ogl-l1", "--protocol", "synth", "--sheet", 0, "--limit", 20)
    for precision in ("32", "bf16"):
        out = tmp_path / precision
        assert call(*words, "--out", out, "--device", "auto", "--precision", precision).code == 0
        model = json.loads((out / "result.json").read_text())["model"]
        assert model.get("precision") == (None if precision == "32" else precision)
        assert "device" not in model


@pytest.mark.slow
def test_maps_of_a_device_are_compared_with_those_of_the_processor(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("predict", "--model", "ezvsl", "--protocol", "synth", "--check-device", "--limit", 8)
    done = call(*words, "--precision", "bf16", "--json")
    assert done.code == 0
    [found] = json.loads(done.out)
    assert found["agrees"]
    assert found["trials"] == 8
    assert 0 < found["difference"] < 0.1
    assert "cIoU@0.5" in call(*words, "--precision", "bf16").out
    assert not list(tmp_path.iterdir())
