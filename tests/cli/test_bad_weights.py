"""Bad weights, sounds and images: one sentence that names file and key, whatever the baseline."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_videos import as_asked
from refusals import refused
from torch import Tensor

from ssl_bench.cli.main import main
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import read_checkpoint
from ssl_bench.models.contract import Localizer
from ssl_bench.models.registry import (
    list_baselines,
    list_ready_baselines,
    load_baseline,
    load_localizer,
)

State = dict[str, Tensor]


def _weights(name: str) -> Path | None:
    found = load_baseline(name).shipped_weights()
    return None if found is None else found[0]


def _stored(name: str) -> State:
    path = _weights(name)
    assert path is not None
    return dict(read_checkpoint(path).tensors)


def _state(name: str) -> State:
    """The entries that are read: some files hold those of training as well."""
    weights = load_localizer(name).provenance.weights
    ignored = () if weights is None else weights.ignored
    return {key: value.clone() for key, value in _stored(name).items() if key not in ignored}


WITH_WEIGHTS = [name for name in list_baselines() if _weights(name) is not None]
AUDIO_VISUAL = [
    name for name in WITH_WEIGHTS if load_baseline(name).card.modality == "audio-visual"
]
WITH_SOUND_BANK = [name for name in AUDIO_VISUAL if "sound_bank" in _stored(name)]


def test_every_baseline_that_is_no_floor_has_weights() -> None:
    trivial = {name for name in list_baselines() if load_baseline(name).card.modality == "trivial"}
    assert set(WITH_WEIGHTS) == set(list_ready_baselines()) - trivial


class _Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("harm-was-done",))


def _key(state: State) -> str:
    """A matrix of the network itself, last in the file."""
    matrices = [key for key in state if state[key].ndim > 1 and key != "sound_bank"]
    return matrices[-1]


def _missing(state: State) -> str:
    key = _key(state)
    del state[key]
    return key


def _extra(state: State) -> str:
    state["stranger.weight"] = torch.ones(3)
    return "stranger.weight"


def _reshaped(state: State) -> str:
    key = _key(state)
    state[key] = state[key][:-1]
    return key


def _not_a_number(state: State) -> str:
    key = _key(state)
    state[key].view(-1)[0] = float("nan")
    return key


def _sparse(state: State) -> str:
    key = _key(state)
    state[key] = state[key].float().to_sparse()
    return key


def _refused(file: Path, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of a file; it ends with exit code 2, and nothing is written."""
    out = file.parent / "run"
    arguments = ["evaluate", "--model", name, "--weights", file, "--protocol", "synth"]
    with pytest.raises(SystemExit) as stop:
        main([str(each) for each in (*arguments, "--out", out, "--json")])
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    assert not out.exists()
    assert file.name in said.err
    return said.err


@pytest.mark.parametrize(
    "fault", [_missing, _extra, _reshaped, _not_a_number, _sparse], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_the_key_that_is_wrong_is_named(
    name: str, fault: Callable[[State], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = _state(name)
    key = fault(state)
    file = tmp_path / "best.pth"
    torch.save(state, file)
    assert key in _refused(file, name, capsys)


@pytest.mark.parametrize("name", WITH_SOUND_BANK)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda bank: bank * torch.nan, id="not-finite"),
        pytest.param(lambda bank: bank[:, :-1], id="reshaped"),
        pytest.param(lambda bank: bank[:0], id="empty"),
    ],
)
def test_a_bad_sound_bank_is_named(
    name: str,
    fault: Callable[[Tensor], Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = _state(name)
    state["sound_bank"] = fault(state["sound_bank"])
    file = tmp_path / "best.pth"
    torch.save(state, file)
    said = _refused(file, name, capsys)
    assert "[E_WEIGHTS_BANK]" in said
    assert "sound_bank" in said


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_weights_of_another_architecture_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "ezvsl" if name == "unet" else "unet"
    state = _state(other)
    file = tmp_path / "best.pth"
    torch.save(state, file)
    assert "[E_WEIGHTS_MODEL]" in _refused(file, name, capsys)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_truncated_torch_file_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cut.pth"
    torch.save({"model": _state(name), "epoch": 20}, file)
    file.write_bytes(file.read_bytes()[:-1000])
    assert "[E_WEIGHTS_DAMAGED]" in _refused(file, name, capsys)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_truncated_file_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _weights(name)
    assert path is not None
    file = tmp_path / "cut.safetensors"
    file.write_bytes(path.read_bytes()[:-1000])
    assert "[E_WEIGHTS_DAMAGED]" in _refused(file, name, capsys)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_pickle_payload_is_refused_and_not_run(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "best.pth"
    torch.save({"model": _state(name), "payload": _Harmful()}, file)
    assert "[E_WEIGHTS_CODE]" in _refused(file, name, capsys)
    assert not (tmp_path / "harm-was-done").exists()


def _silence(name: str, count: int, rate: int | None = None) -> Waveform:
    audio = load_baseline(name).variant("synth").preprocessing["audio"]
    return Waveform(np.zeros((count, 1), np.int16), rate or int(audio["rate"]))


@pytest.mark.parametrize("name", AUDIO_VISUAL)
def test_sounds_that_the_model_cannot_take_are_refused(name: str) -> None:
    localizer = load_localizer(name)
    assert isinstance(localizer, Localizer)
    with refused("E_SOUND_EMPTY"):
        localizer.encode_audio([_silence(name, 0)])
    with refused("E_SOUND_RATE"):
        localizer.encode_audio([_silence(name, 16000, rate=8000)])


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_an_image_of_one_pixel_is_refused(name: str) -> None:
    localizer = load_localizer(name)
    assert isinstance(localizer, Localizer)
    with refused("E_IMAGE_ONE_PIXEL"):
        localizer.encode_image(as_asked(localizer, [np.full((1, 1, 3), 200, np.uint8)]))


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_two_pixels_and_one_sample_give_a_map_of_numbers(name: str) -> None:
    localizer = load_localizer(name)
    assert isinstance(localizer, Localizer)
    images = localizer.encode_image(as_asked(localizer, [np.full((1, 2, 3), 200, np.uint8)]))
    heard = name in AUDIO_VISUAL
    sounds = localizer.encode_audio([_silence(name, 1)]) if heard else {}
    maps = localizer.localize(images, sounds)
    assert maps.shape[0] == 1
    assert np.isfinite(maps).all()


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_an_image_without_pixels_is_refused(name: str) -> None:
    localizer = load_localizer(name)
    assert isinstance(localizer, Localizer)
    with refused("E_IMAGE_FORM"):
        localizer.encode_image(as_asked(localizer, [np.zeros((0, 3, 3), np.uint8)]))
