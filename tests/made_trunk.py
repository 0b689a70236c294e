"""A frozen trunk of random weights, in place of the one that the extra ``imagenet`` installs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from ssl_bench.models import image_trunks
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.efficientnet import LiteClassifier

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
