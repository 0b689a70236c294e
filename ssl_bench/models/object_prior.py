"""The object priors of EZ-VSL: where a classifier of objects is active, or sure of its answer."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.efficientnet import LITE_HEAD, Lite, LiteClassifier, LiteTrunk
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.models.trained import VisionOnlyLocalizer
from ssl_bench.schemas import Document

HEAD = ("fc.weight", "fc.bias")
"""Entries of a classifier's last layer."""


class ClassifierArchitecture(Document):
    """Shape of an object classifier; the defaults are torchvision's ResNet-18 for ImageNet."""

    # Shape of the trunk, or the name of another one
    trunk: TrunkArchitecture | Lite = Field(default_factory=TrunkArchitecture)
    classes: PositiveInt = 1000  # Number of classes, where no weights say another


class ClassifierNetwork(ResidualTrunk):
    """An image trunk, global average pooling and a linear classifier.

    The state dict is that of torchvision's ResNet-18: the trunk's keys, ``fc.weight``, ``fc.bias``.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=22))
    >>> tuple(network(torch.zeros(2, 3, 112, 112)).shape)
    (2, 22)
    """

    def __init__(self, architecture: ClassifierArchitecture) -> None:
        trunk = architecture.trunk
        assert isinstance(trunk, TrunkArchitecture)
        super().__init__(trunk, input_channels=3)
        self.fc = nn.Linear(trunk.channels, architecture.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, 3, H, W)``."""
        logits: Tensor = self.fc(self.pooled(x))
        return logits

    def pooled(self, x: Tensor) -> Tensor:
        """Mean of the last map, ``(B, D)``: what the last layer decides by."""
        return super().forward(x).mean(dim=(2, 3))

    def classify_locations(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes, h, w)``: the last layer at each location, before any pooling."""
        last = super().forward(x)
        return functional.conv2d(last, self.fc.weight[:, :, None, None], self.fc.bias)


class ObjectPrior(VisionOnlyLocalizer[ResidualTrunk | LiteTrunk]):
    """Mean absolute activation of a classifier's last map: L1 object-guided localization.

    The paper (EZ-VSL, section 3.3, equation 8) takes the L1 norm over channels, the authors' code
    the mean, as here. The two differ by a constant factor only.

    Maps are >= 0. The network is a classifier without its pooling and last layer.

    Examples
    --------
    >>> import numpy as np
    >>> from ssl_bench.models.images import ImagePreprocessing
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> from ssl_bench.models.trained import PriorPreprocessing
    >>> preprocessing = PriorPreprocessing(image=ImagePreprocessing(side=112))
    >>> prior = ObjectPrior(ResidualTrunk(SMALL_TRUNK, input_channels=3), preprocessing)
    >>> prior.localize(prior.encode_image([np.zeros((90, 120, 3), np.uint8)]), {}).shape
    (1, 7, 7)
    """

    baseline = "ogl-l1"
    architecture = ClassifierArchitecture
    unused = HEAD + LITE_HEAD

    @classmethod
    def build(
        cls, architecture: Any, options: Any, checkpoint: Checkpoint
    ) -> ResidualTrunk | LiteTrunk:
        """The trunk of the classifier."""
        del options, checkpoint
        if not isinstance(architecture.trunk, TrunkArchitecture):
            return LiteTrunk()
        return ResidualTrunk(architecture.trunk, input_channels=3)

    def maps_of(self, pixels: Tensor) -> Tensor:
        """Mean absolute activation ``(B, h, w)``."""
        activation: Tensor = self._network(pixels)
        return activation.abs().mean(dim=1)


class ClassPrior(VisionOnlyLocalizer[ClassifierNetwork | LiteClassifier]):
    r"""Probability of the likeliest class at each location: object-guided localization by class.

    The classifier's last layer is applied to every location of the last map (EZ-VSL, section 3.3,
    equation 7). Maps lie in (0, 1].

    .. math:: S_{xy} = \max_o \operatorname{softmax}_o(W v_{xy} + b)

    Examples
    --------
    >>> import numpy as np
    >>> from ssl_bench.models.images import ImagePreprocessing
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> from ssl_bench.models.trained import PriorPreprocessing
    >>> network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=22))
    >>> prior = ClassPrior(network, PriorPreprocessing(image=ImagePreprocessing(side=112)))
    >>> prior.localize(prior.encode_image([np.zeros((90, 120, 3), np.uint8)]), {}).shape
    (1, 7, 7)
    """

    baseline = "ogl-cls"
    architecture = ClassifierArchitecture
    sized_by: ClassVar = {"classes": HEAD + LITE_HEAD}

    @classmethod
    def build(
        cls, architecture: Any, options: Any, checkpoint: Checkpoint
    ) -> ClassifierNetwork | LiteClassifier:
        """The whole classifier."""
        del options, checkpoint
        if isinstance(architecture.trunk, TrunkArchitecture):
            return ClassifierNetwork(architecture)
        return LiteClassifier(architecture.classes)

    def maps_of(self, pixels: Tensor) -> Tensor:
        """Largest class probability ``(B, h, w)``."""
        return self._network.classify_locations(pixels).softmax(dim=1).amax(dim=1)
