"""The object prior of EZ-VSL: where a classifier of objects is active, whatever sounds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture


class ClassifierArchitecture(BaseModel):
    """Shape of an object classifier; the defaults are torchvision's ResNet-18 for ImageNet.

    Attributes
    ----------
    trunk
        Shape of the trunk.
    classes
        Number of classes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trunk: TrunkArchitecture = Field(default_factory=TrunkArchitecture)
    classes: PositiveInt = 1000


class ClassifierNetwork(ResidualTrunk):
    """An image trunk, global average pooling and a linear classifier.

    The state dict is that of torchvision's ResNet-18: the trunk's keys, ``fc.weight``, ``fc.bias``.

    Parameters
    ----------
    architecture
        Shape of the network.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=22))
    >>> tuple(network(torch.zeros(2, 3, 112, 112)).shape)
    (2, 22)
    """

    def __init__(self, architecture: ClassifierArchitecture) -> None:
        super().__init__(architecture.trunk, input_channels=3)
        self.fc = nn.Linear(architecture.trunk.channels, architecture.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, 3, H, W)``."""
        logits: Tensor = self.fc(super().forward(x).mean(dim=(2, 3)))
        return logits
