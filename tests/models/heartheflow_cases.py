"""Hear The Flow: tiny networks, and what the authors' code made of inputs from a seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from torch import Tensor

from ssl_bench.models.heartheflow import HearTheFlowArchitecture, HearTheFlowNetwork
from ssl_bench.models.resnet import TrunkArchitecture

SEED = "heartheflow"
VECTORS = Path(__file__).parent / "vectors" / "heartheflow.npz"
AUDIO = {"spectrogram": "log-mel", "rate": 11025, "seconds": 2.0, "window": 512, "hop": 128}
FLOW = {"rate": 10.0, "form": "signed"}
RATE = 22050

Kind = Literal["trunk", "largest", "none"]
NAMES: dict[Kind, str] = {"trunk": "cnn", "largest": "maxpool"}
"""What reads the flow, as the authors' code names it."""

_TINY_TRUNK = TrunkArchitecture(
    width=4, blocks=(1, 1), strides=(2, 2), stem_kernel=3, stem_pool=False, shortcut="pooled"
)


def tiny(flow: Kind = "trunk") -> HearTheFlowArchitecture:
    """Images of 32x32 pixels give 4x4 places of 8 channels."""
    return HearTheFlowArchitecture(trunk=_TINY_TRUNK, flow=flow)


def tiny_network(flow: Kind = "trunk") -> HearTheFlowNetwork:
    network = HearTheFlowNetwork(tiny(flow))
    network.load_state_dict(seeded_state(network))
    return network.eval()


def given(key: str, shape: tuple[int, ...], scale: float) -> Tensor:
    """An input from the seed, uniform in plus and minus `scale`."""
    return recipe_tensor(SEED, f"{key}.input", shape) * math.sqrt(math.prod(shape[1:]) / 6) * scale


def vectors() -> dict[str, NDArray[Any]]:
    with np.load(VECTORS) as stored:
        return dict(stored)


def published_network(flow: Kind) -> HearTheFlowNetwork:
    """The published network with weights from the seed, its trunk for images frozen."""
    network = HearTheFlowNetwork(HearTheFlowArchitecture(flow=flow))
    state = {
        key: recipe_tensor(SEED, key, tuple(value.shape))
        for key, value in network.state_dict().items()
    }
    if flow == "trunk":  # so that attention is soft
        for kind in ("weight", "bias"):
            state[f"flowatt.query_conv.{kind}"] /= 1000
    network.load_state_dict(state)
    network.imgnet.requires_grad_(False)
    return network.eval()


def published_inputs() -> tuple[Tensor, Tensor]:
    """Images with their flow ``(2, 5, 224, 224)``, and sounds ``(2, 1, 257, 276)``."""
    images, flow = given("images", (2, 3, 224, 224), 2.0), given("flow", (2, 2, 224, 224), 0.5)
    return torch.cat([images, flow], dim=1), given("sounds", (2, 1, 257, 276), 1.0)


def published_wave(samples: int) -> NDArray[np.int16]:
    """The first samples of a sound, ``(samples, 1)``, in 16 bits."""
    wave = given("wave", (1, 110251), 0.4)[0, :samples]
    return (wave * 32767).round().to(torch.int16).numpy()[:, None]
