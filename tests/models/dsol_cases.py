"""A small network of DSOL, and what the published one is fed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from torch import Tensor

from ssl_bench.models.dsol import DSOLArchitecture, DSOLNetwork
from ssl_bench.models.resnet import SMALL_TRUNK

SEED = "dsol"

SMALL = DSOLArchitecture(
    trunk=SMALL_TRUNK, dimension=8, clusters=3, categories=("drum", "big bell")
)


def small_network() -> DSOLNetwork:
    network = DSOLNetwork(SMALL)
    network.load_state_dict(seeded_state(network))
    return network.eval()


def vectors() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parent / "vectors" / "dsol.npz") as stored:
        return dict(stored)


def published_tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    """Of the vectors: classes are not all but certain, and the sounding area has edges."""
    factor = 0.01 if "class_layer" in key else 20 if key.startswith("conv_av") else 1
    return recipe_tensor(SEED, key, shape) * factor


def images() -> Tensor:
    return _input("images", (2, 3, 224, 224))


def sounds() -> Tensor:
    return _input("sounds", (2, 1, 201, 64))


def _input(key: str, shape: tuple[int, ...]) -> Tensor:
    return recipe_tensor(SEED, f"{key}.input", shape) * math.sqrt(math.prod(shape[1:]) / 6) * 2.0
