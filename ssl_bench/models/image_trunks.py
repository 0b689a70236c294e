"""What networks see images with: a residual trunk, a plain stack, or a frozen one under a layer."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ssl_bench.errors import WeightsError
from ssl_bench.models.checkpoints import Checkpoint, load_into, read_checkpoint
from ssl_bench.models.efficientnet import CHANNELS, LITE_HEAD, LITE_WEIGHTS, Lite, LiteTrunk
from ssl_bench.models.faster import channels_last, fold_batch_norms
from ssl_bench.models.provenance import stated_origin
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.models.vgg import VGG16_STAGES, vgg_stack
from ssl_bench.schemas import Document


def packaged_trunk() -> Checkpoint:
    """The weights that the variant ``imagenet-lite`` of object priors takes, too."""
    return read_checkpoint(LITE_WEIGHTS.path(), expected_sha256=LITE_WEIGHTS.sha256)


class FrozenTrunk(nn.Module):
    """EfficientNet-Lite0 as the extra ``imagenet`` installs it, and one layer that is trained.

    The layer, a 1x1 convolution with batch normalisation and ReLU, has `channels` channels. The
    trunk below is neither trained nor stored: it is not part of the state dict, takes no gradient
    and stays in evaluation mode. `sha256` is the digest of its file. WeightsError where the package
    is not installed, or brings another file.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        checkpoint = packaged_trunk()
        trunk = LiteTrunk().eval().requires_grad_(False)
        load_into(trunk, checkpoint, ignored=LITE_HEAD)
        channels_last(fold_batch_norms(trunk))
        self.sha256 = checkpoint.sha256
        # In a tuple torch does not see it.
        self._frozen = (trunk,)
        convolution = nn.Conv2d(CHANNELS, channels, 1, bias=False)
        self.layer = nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())

    def maps(self, images: Tensor) -> Tensor:
        """What the layer reads, ``(B, 1280, h, w)``, of images ``(B, 3, H, W)``."""
        with torch.no_grad():
            found: Tensor = self._frozen[0](images)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, h, w)``, >= 0, of images, or of what :meth:`maps` made of them."""
        mapped: Tensor = self.layer(x if x.shape[1] == CHANNELS else self.maps(x))
        return mapped

    def _apply(self, *arguments: Any, **named: Any) -> Any:
        # Where the network is moved to, the trunk goes, too.
        for part in self._frozen:
            part._apply(*arguments, **named)  # type: ignore[no-untyped-call]
        return super()._apply(*arguments, **named)  # type: ignore[no-untyped-call]


class StackArchitecture(Document):
    """Shape of a plain stack of convolutions; the default is VGG-16's."""

    # Channels of each convolution of each stage. The last convolution has neither ReLU nor pooling.
    stages: Annotated[tuple[tuple[PositiveInt, ...], ...], Field(min_length=1)] = VGG16_STAGES

    @property
    def channels(self) -> int:
        """Channels of the last map."""
        return self.stages[-1][-1]


class FrozenArchitecture(Document):
    """A frozen trunk under a layer that is trained."""

    frozen: Lite
    channels: PositiveInt  # Of the layer


ImageTrunk = StackArchitecture | TrunkArchitecture | FrozenArchitecture
"""What a network whose two sides are not alike sees images with."""


def image_network(shape: ImageTrunk) -> nn.Module:
    """The network for images of a shape: images ``(B, 3, H, W)`` to ``(B, shape.channels, h, w)``.

    Examples
    --------
    >>> stack = image_network(StackArchitecture(stages=((4,), (8,))))
    >>> tuple(stack(torch.zeros(2, 3, 32, 48)).shape)
    (2, 8, 16, 24)
    """
    if isinstance(shape, FrozenArchitecture):
        return FrozenTrunk(shape.channels)
    if isinstance(shape, TrunkArchitecture):
        return ResidualTrunk(shape, input_channels=3)
    return vgg_stack(shape.stages, last_pool=False)[:-1]


class TwoTrunks(Document):
    """Shape of a network with a trunk for images and one for sounds."""

    # Shape of both trunks; they differ in their number of input channels only.
    trunk: TrunkArchitecture = Field(default_factory=TrunkArchitecture)
    # Another trunk for images: this one, frozen, under a layer with as many channels.
    image_trunk: Lite | None = None

    def seeing(self) -> ResidualTrunk | FrozenTrunk:
        """The trunk for images."""
        if self.image_trunk is not None:
            return FrozenTrunk(self.trunk.channels)
        return ResidualTrunk(self.trunk, input_channels=3)


def frozen_trunk_of(network: nn.Module) -> FrozenTrunk | None:
    """The frozen trunk of a network; None where it has none."""
    return next((part for part in network.modules() if isinstance(part, FrozenTrunk)), None)


def refuse_other_trunk(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Raise WeightsError where weights were trained on another frozen trunk than is installed."""
    needed = stated_origin(checkpoint.metadata).get("image_trunk")
    trunk = frozen_trunk_of(network)
    if trunk is not None and needed is not None and needed != trunk.sha256:
        raise WeightsError(
            f"these weights go with a frozen image trunk of the digest {needed[:12]}..., and "
            f"the one that is installed has {trunk.sha256[:12]}...",
            code="E_WEIGHTS_TRUNK",
            where=checkpoint.path,
            remedy="train again, or install the version of the package that they go with",
        )
