"""A tiny network of deep multimodal clustering, and what the published one is fed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from torch import Tensor

from ssl_bench.models.dmc import DMCArchitecture, DMCNetwork
from ssl_bench.models.resnet import TrunkArchitecture

SEED = "dmc"
SMALL_LAYERS = 1000
"""By which the vectors' linear layers are divided, so that clusters are soft."""

TINY = DMCArchitecture(
    trunk=TrunkArchitecture(
        width=4, blocks=(1, 1), strides=(2, 2), stem_kernel=3, stem_pool=False, shortcut="pooled"
    ),
    clusters=3,
    sound_clusters=2,
)


def tiny_network() -> DMCNetwork:
    network = DMCNetwork(TINY)
    network.load_state_dict(seeded_state(network))
    return network


def vectors() -> dict[str, NDArray[np.float32]]:
    with np.load(Path(__file__).parent / "vectors" / "dmc.npz") as stored:
        return dict(stored)


def images() -> Tensor:
    return _input("images", (2, 3, 224, 224))


def sounds() -> Tensor:
    return _input("sounds", (2, 1, 201, 64))


def _input(key: str, shape: tuple[int, ...]) -> Tensor:
    return recipe_tensor(SEED, f"{key}.input", shape) * math.sqrt(math.prod(shape[1:]) / 6) * 2.0
