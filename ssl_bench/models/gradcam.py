"""Grad-CAM: where a classifier looks for the classes that it finds likeliest, whatever sounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import ModelError
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.devices import Place
from ssl_bench.models.efficientnet import LITE_HEAD, Lite, LiteClassifier
from ssl_bench.models.trained import VisionOnlyLocalizer
from ssl_bench.models.vgg import VGG11_STAGES, vgg_stack
from ssl_bench.schemas import Document

LAST_LAYER = ("classifier.6.weight", "classifier.6.bias")
"""Entries of the classifier's last layer."""

Channels = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class VGGArchitecture(Document):
    """Shape of a VGG classifier; the defaults are VGG-11 for ImageNet (Simonyan 2014).

    Of another network than a VGG, `classes` and `top` alone mean something.
    """

    network: Literal["vgg"] | Lite = "vgg"
    # Channels of each convolution of each stage; the image is halved after each stage.
    stages: Annotated[tuple[Channels, ...], Field(min_length=1)] = VGG11_STAGES
    batch_norm: bool = False  # Whether batch normalisation follows each convolution
    # Side of the map to which the last stage is averaged before the classifier.
    grid: PositiveInt = 7
    hidden: PositiveInt = 4096  # Width of the classifier's two hidden layers
    classes: PositiveInt = 1000  # Number of classes, where no weights say another
    # How many of the likeliest classes a map combines, unless an option says otherwise.
    top: PositiveInt = 100


class VGGNetwork(nn.Module):
    """A VGG classifier; the state dict is that of torchvision's.

    Examples
    --------
    >>> network = VGGNetwork(VGGArchitecture(stages=((4,), (8,)), hidden=16, classes=5)).eval()
    >>> tuple(network(torch.zeros(2, 3, 28, 28)).shape)
    (2, 5)
    >>> tuple(network.last_map(torch.zeros(2, 3, 28, 28)).shape)
    (2, 8, 14, 14)
    """

    def __init__(self, architecture: VGGArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.features = vgg_stack(architecture.stages, batch_norm=architecture.batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(architecture.grid)
        pooled = architecture.stages[-1][-1] * architecture.grid**2
        hidden = architecture.hidden
        self.classifier = nn.Sequential(
            nn.Linear(pooled, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, architecture.classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, 3, H, W)``."""
        return self.classify_map(self.last_map(x))

    def last_map(self, x: Tensor) -> Tensor:
        """Map ``(B, C, h, w)``, >= 0, of the last convolution before the last pooling."""
        last: Tensor = self.features[:-1](x)
        return last

    def classify_map(self, last: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of the maps that :meth:`last_map` gives."""
        logits: Tensor = self.classifier(self.avgpool(self.features[-1](last)).flatten(1))
        return logits


class LiteNetwork(LiteClassifier):
    """EfficientNet-Lite0, with the settings of its maps."""

    def __init__(self, architecture: VGGArchitecture) -> None:
        super().__init__(architecture.classes)
        self.architecture = architecture


SaliencyNetwork = VGGNetwork | LiteNetwork


def top_class_saliency(
    network: SaliencyNetwork, pixels: Tensor, top: int, *, normalize_classes: bool = False
) -> Tensor:
    r"""Grad-CAM of the likeliest classes, combined by their maximum.

    Class k weighs each channel F_c of the last map by the mean gradient of its logit; the map of
    the N likeliest classes is the largest of theirs at each location (Selvaraju et al., 2017; Oya
    et al., supplement, equation 1):

    .. math::
        S_k = \operatorname{ReLU}\Bigl(\sum_c F_c \, \frac{1}{hw} \sum_{xy}
              \frac{\partial z_k}{\partial F_{c,xy}}\Bigr), \qquad S = \max_{k \le N} S_k

    ``(B, h, w)``, >= 0, of prepared images ``(B, 3, H, W)``. `top` is N, at most the number of
    classes; with `normalize_classes` each class's map is divided by its own maximum before they are
    combined. The network is in evaluation mode.
    """
    with torch.no_grad():
        last = network.last_map(pixels)
    # Image by image: the gradients of all classes of all images at once would fill gigabytes.
    return torch.stack(
        [_saliency_of_one(network, one, top, normalize_classes) for one in torch.split(last, 1)]
    )


def _saliency_of_one(
    network: SaliencyNetwork, last: Tensor, top: int, normalize_classes: bool
) -> Tensor:
    with torch.enable_grad():
        leaf = last.detach().requires_grad_()
        logits = network.classify_map(leaf)
    likeliest = logits.detach()[0].topk(top).indices
    rows = functional.one_hot(likeliest, logits.shape[1]).to(logits.dtype)
    (gradients,) = torch.autograd.grad(logits, leaf, rows[:, None], is_grads_batched=True)
    weights = gradients[:, 0].mean(dim=(-2, -1))
    saliency = torch.einsum("kc,chw->khw", weights, last[0]).relu()
    if normalize_classes:
        peak = saliency.amax(dim=(-2, -1), keepdim=True)
        saliency = saliency / torch.where(peak > 0, peak, 1)
    return saliency.amax(dim=0)


class GradCAMOptions(Document):
    """Options of Grad-CAM.

    `top` likeliest classes are combined, or the variant's own number; with `normalize_classes` each
    class's map is divided by its own maximum before.
    """

    top: PositiveInt | None = None
    normalize_classes: bool = False


class GradCAM(VisionOnlyLocalizer[SaliencyNetwork]):
    """Saliency of a classifier's likeliest classes (Oya et al., section 4.2 and supplement C).

    The option ``top`` is refused by a ModelError where the classifier has fewer classes; the
    architecture's own number is brought down to them.

    Examples
    --------
    >>> import numpy as np
    >>> from ssl_bench.models.trained import PriorPreprocessing
    >>> network = VGGNetwork(VGGArchitecture(stages=((4,), (8,)), hidden=16, classes=5))
    >>> model = GradCAM(network, PriorPreprocessing(), options=GradCAMOptions(top=3))
    >>> model.vision_only(model.encode_image([np.zeros((90, 120, 3), np.uint8)])).shape
    (1, 112, 112)
    """

    baseline = "gradcam"
    architecture = VGGArchitecture
    options = GradCAMOptions
    sized_by: ClassVar = {"classes": LAST_LAYER + LITE_HEAD}

    @classmethod
    def build(cls, architecture: Any, options: Any, checkpoint: Checkpoint) -> SaliencyNetwork:
        """The whole classifier."""
        del options, checkpoint
        vgg = architecture.network == "vgg"
        return VGGNetwork(architecture) if vgg else LiteNetwork(architecture)

    def settings(self) -> dict[str, Any]:
        """How many classes are combined, and how; raises ModelError where there are fewer."""
        own = self._network.architecture
        top = self._options.top or min(own.top, own.classes)
        if top > own.classes:
            raise ModelError(
                f"top is {top}, and the classifier has {own.classes} classes",
                code="E_OPTION_TOP",
                where=f"options of {self.name}",
                remedy=f"give --option top=N with N up to {own.classes}",
            )
        return {"top": top, "normalize_classes": self._options.normalize_classes}

    def move(self, place: Place) -> Place:
        """Compute on another device from now on, in 32 bits whatever precision is asked for.

        Rounded values tie, and a maximum pooling then hands gradients to other locations.
        """
        return super().move(replace(place, precision="32"))

    def maps_of(self, pixels: Tensor) -> Tensor:
        """Saliency maps ``(B, h, w)``, >= 0."""
        return top_class_saliency(self._network, pixels, **self.settings())
