"""Weights from a seed, as tests/golden/models/README.md defines them."""

from __future__ import annotations

import json
import math
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def recipe_seed(folder: Path) -> str:
    return str(json.loads((folder / "recipe.json").read_text())["seed"])


def recipe_tensor(seed: str, key: str, shape: tuple[int, ...]) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    generator = np.random.RandomState(zlib.crc32(f"{seed}|w|{key}".encode("ascii")))
    u = generator.random_sample(math.prod(shape)).reshape(shape)
    if key.endswith("running_var"):
        values = 0.5 + u
    elif len(shape) >= 2:
        values = (2 * u - 1) * math.sqrt(6 / math.prod(shape[1:]))
    elif key.endswith("weight"):
        values = 0.75 + 0.5 * u
    else:  # running means and biases
        values = 0.2 * u - 0.1
    return torch.from_numpy(values.astype(np.float32))


def recipe_weights(folder: Path, model: str) -> dict[str, Tensor]:
    """State dict of a model whose entries are listed in ``<model>.keys.json``; made once."""
    return dict(_recipe_weights(folder, model))


@cache
def _recipe_weights(folder: Path, model: str) -> dict[str, Tensor]:
    entries = json.loads((folder / f"{model}.keys.json").read_text())["entries"]
    seed = recipe_seed(folder)
    return {
        entry["key"]: recipe_tensor(seed, entry["key"], tuple(entry["shape"])) for entry in entries
    }


def seeded_state(network: torch.nn.Module, seed: str = "small") -> dict[str, Tensor]:
    """State dict for any network, by the same recipe."""
    return {
        key: recipe_tensor(seed, key, tuple(value.shape))
        for key, value in network.state_dict().items()
    }
