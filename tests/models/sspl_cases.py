"""Tiny networks of SSPL, and the published one with weights from a seed."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from torch import Tensor

from ssl_bench.models.image_trunks import StackArchitecture
from ssl_bench.models.resnet import TrunkArchitecture
from ssl_bench.models.sspl import SSPLArchitecture, SSPLNetwork
from ssl_bench.training.objectives.sspl import PredictiveHead

SEED = "sspl"
VECTORS = Path(__file__).parent / "vectors" / "sspl.npz"
AUDIO = {"spectrogram": "log-mel", "rate": 11025, "seconds": 2.0, "window": 512, "hop": 128}

_TINY_TRUNK = TrunkArchitecture(
    width=4, blocks=(1, 1), strides=(2, 1), stem_kernel=3, stem_pool=False, shortcut="pooled"
)
TINY = SSPLArchitecture(trunk=_TINY_TRUNK, sound=_TINY_TRUNK, hidden=6, width=5, cycles=2)
"""Images of 40x40 pixels give 10x10 places of 8 channels; sounds have 8 features."""


def tiny(*, pcm: bool = True) -> SSPLArchitecture:
    return TINY.model_copy(update={"pcm": pcm})


def tiny_network(*, pcm: bool = True) -> SSPLNetwork:
    network = SSPLNetwork(tiny(pcm=pcm))
    network.load_state_dict(seeded_state(network))
    return network.eval()


def given(key: str, shape: tuple[int, ...], scale: float) -> Tensor:
    """An input from the seed, uniform in plus and minus `scale`."""
    return recipe_tensor(SEED, f"{key}.input", shape) * math.sqrt(math.prod(shape[1:]) / 6) * scale


def vectors() -> dict[str, NDArray[Any]]:
    with np.load(VECTORS) as stored:
        return dict(stored)


@cache
def published_network() -> SSPLNetwork:
    """All but the image network, at full size; takes seconds. In place of that, one convolution."""
    network = SSPLNetwork(SSPLArchitecture(trunk=StackArchitecture(stages=((512,),))))
    network.load_state_dict(
        {
            key: recipe_tensor(SEED, key.partition(".")[2], tuple(value.shape))
            for key, value in network.state_dict().items()
        }
    )
    for part in network.sound_trunk:
        network.freeze(part)
    return network.eval()


@cache
def published_head() -> PredictiveHead:
    head = PredictiveHead(channels=512, projection=2048, bottleneck=512)
    head.load_state_dict(
        {
            key: recipe_tensor(SEED, key, tuple(value.shape))
            for key, value in head.state_dict().items()
        }
    )
    return head


def published_inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Two views, as features of places ``(4, 512, 14, 14)``, and sounds ``(4, 3, 96, 64)``."""
    first, second = (given(name, (4, 512, 14, 14), 3.0) for name in ("first", "second"))
    return first, second, given("patches", (4, 3, 1, 96, 64), 2.0)[:, :, 0]
