"""Weights files as the authors of the field publish them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.sounds import LogPowerAudio, prepare_sound


def prefixed(state: Mapping[str, Tensor], prefix: str = "module.") -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


def ezvsl_container(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """As EZ-VSL and FNAC write it; one figure is a numpy scalar."""
    return {
        "model": dict(state),
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}]},
        "epoch": 20,
        "best_cIoU": np.float64(83.94),
        "best_Auc": 63.6,
    }


def slavc_container(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """As SLAVC writes it."""
    return {
        "model": dict(state),
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 20,
        "best_Precision": np.float64(0.25),
        "best_AP": 0.5,
        "best_F1": 0.75,
    }


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    torch.save(content, path)
    return path


def golden_inputs(vectors: Path) -> tuple[Tensor, Tensor]:
    """Images and spectrograms as EZ-VSL's family reads them."""
    with np.load(vectors / "inputs.npz") as inputs:
        pixels = prepare_images(list(inputs["images"]), ImagePreprocessing())
        rate = 16000
        tables = [
            prepare_sound(Waveform(samples[:, None], rate), LogPowerAudio())
            for samples in inputs["audio_16k"]
        ]
    return torch.from_numpy(pixels), torch.from_numpy(np.stack(tables))
