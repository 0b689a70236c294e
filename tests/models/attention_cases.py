"""A tiny attention network, and what its published relative is fed."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from torch import Tensor, nn

from ssl_bench.models.attention import AttentionArchitecture, AttentionNetwork
from ssl_bench.models.resnet import TrunkArchitecture
from ssl_bench.models.soundnet import SoundLayer, SoundNetArchitecture

SEED = "attention"
VECTORS = Path(__file__).parent / "vectors" / "attention.npz"

TINY = AttentionArchitecture(
    trunk=TrunkArchitecture(
        width=4, blocks=(1, 1), strides=(2, 2), stem_kernel=3, stem_pool=False, shortcut="pooled"
    ),
    sound=SoundNetArchitecture(
        rows=64,
        layers=(SoundLayer(channels=6, kernel=5, pool=2),),
        last=SoundLayer(channels=5, kernel=3),
    ),
)
AUDIO = {"spectrogram": "log-mel", "rate": 11025, "seconds": 2.0, "window": 512, "hop": 128}


def tiny_network() -> AttentionNetwork:
    network = AttentionNetwork(TINY)
    network.load_state_dict(seeded_state(network))
    return network


def recipe_input(key: str, shape: tuple[int, ...], scale: float) -> Tensor:
    """An input from the seed, uniform in plus and minus `scale`."""
    return recipe_tensor(SEED, f"{key}.input", shape) * math.sqrt(math.prod(shape[1:]) / 6) * scale


@cache
def published_network() -> AttentionNetwork:
    """The published network with weights from the seed, which takes features for sounds."""
    network = AttentionNetwork(AttentionArchitecture()).eval()
    setattr(network, "audio_embedding_model", nn.Flatten())  # noqa: B010
    network.load_state_dict(
        {
            key: recipe_tensor(SEED, key, tuple(value.shape))
            for key, value in network.state_dict().items()
        }
    )
    network.freeze(network.image_trunk)
    return network


@cache
def published_visual() -> Tensor:
    """What it makes of the images; takes seconds."""
    with torch.no_grad():
        return published_network().see(recipe_input("images", (2, 3, 320, 320), 2.0))


def vectors() -> dict[str, NDArray[np.float32]]:
    with np.load(VECTORS) as stored:
        return dict(stored)


def truth() -> Tensor:
    return (recipe_tensor(SEED, "truth.input", (2, 400)) > 0).float().view(2, 20, 20)


def features(name: str) -> Tensor:
    return recipe_input(name, (2, 1000), 3.0)


def pairs() -> tuple[Tensor, Tensor]:
    """Small images and spectrograms."""
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(4, 3, 32, 32, generator=generator),
        torch.randn(4, 1, 64, 20, generator=generator),
    )
