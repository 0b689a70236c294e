"""A frozen trunk of random weights, in place of the one that the extra ``imagenet`` installs."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch
from made_collage import make_folder
from torch import nn

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.models import image_trunks
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.efficientnet import LiteClassifier
from ssl_bench.testsets import DATA_VARIABLE

DIGEST = "ab" * 32


@cache
def _made() -> Checkpoint:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LiteClassifier(2)
        for part in network.modules():
            # Without, nothing of a picture would be left after so many layers.
            if isinstance(part, nn.BatchNorm2d):
                nn.init.constant_(part.weight, 2.5)
                nn.init.normal_(part.bias)
    return Checkpoint(Path("made"), network.state_dict(), {}, DIGEST)


def use_made_trunk(patch: pytest.MonkeyPatch) -> None:
    """Let frozen trunks take random weights of the digest `DIGEST`."""
    patch.setattr(image_trunks, "packaged_trunk", _made)


@contextmanager
def made_world(factory: pytest.TempPathFactory) -> Iterator[None]:
    """A trunk of random weights, pictures and sounds that are made, and a cache of its own."""
    # Compiled code comes from the user's own cache.
    importlib.import_module("ssl_bench.measures.kernel")
    with pytest.MonkeyPatch.context() as patch:
        use_made_trunk(patch)
        patch.setenv(CACHE_VARIABLE, str(factory.mktemp("cache")))
        patch.setenv(DATA_VARIABLE, str(make_folder(factory.mktemp("data"))))
        yield
