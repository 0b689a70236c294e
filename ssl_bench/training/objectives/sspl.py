"""Self-supervised predictive learning (Song et al., CVPR 2022): no negatives.

The formulas are those of the authors' code (zjsong/SSPL).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.checkpoints import load_into, read_checkpoint
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.models.sspl import (
    HEAD,
    SOUND_CLASSES,
    SSPLArchitecture,
    SSPLNetwork,
    SSPLPreprocessing,
    place_cosines,
)
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch, Feed, Rows
from ssl_bench.training.objectives.attention import start_trunk
from ssl_bench.training.objectives.coarse_to_fine import label_loss
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EmbeddingTask, ParameterGroup, SoundBankSettings

_SMALLEST_RANGE = 1e-10
_AGAIN = "images_again"


def attended(visual: Tensor, cosines: Tensor) -> Tensor:
    r"""Sum of an image's places, weighted by their map from 0 to 1.

    .. math:: f_n = \sum_p v_{np} \frac{s_{np} - \min s_n}{\max s_n - \min s_n + 10^{-10}}

    Of places v ``(B, C, h, w)`` and maps s ``(B, h, w)``: ``(B, C)``.

    Examples
    --------
    >>> visual = torch.tensor([[[[1.0, 10.0, 100.0]]]])
    >>> attended(visual, torch.tensor([[[-0.5, 0.0, 0.5]]]))  # 0 * 1 + 10 / 2 + 100
    tensor([[105.]])
    """
    flat = cosines.flatten(1)
    least, most = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    weights = (flat - least) / (most - least + _SMALLEST_RANGE)
    return torch.einsum("ncp,np->nc", visual.flatten(2), weights)


def predictive_loss(
    predictions: tuple[Tensor, Tensor], projections: tuple[Tensor, Tensor]
) -> Tensor:
    r"""How badly each view's projection is predicted from the other view.

    .. math::
        L = -\frac12 \, \overline{\cos(p_1, \bar z_2)} - \frac12 \, \overline{\cos(p_2, \bar z_1)}

    averaged over the batch; no gradient reaches the projections marked by a bar. Of predictions and
    projections ``(B, D)`` of both views: a scalar in [-1, 1].

    Examples
    --------
    >>> one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    >>> predictive_loss((one, other), (one, one))  # -(1 + 0) / 2
    tensor(-0.5000)
    """
    crosswise = zip(predictions, reversed(projections), strict=True)
    cosines = [functional.cosine_similarity(p, z.detach(), dim=1).mean() for p, z in crosswise]
    return -(cosines[0] + cosines[1]) / 2


class PredictiveHead(nn.Module):
    """Projections and a predictor of views, as in SimSiam; entries are named as in its public code.

    Examples
    --------
    >>> head = PredictiveHead(channels=6, projection=8, bottleneck=2)
    >>> predictions, projections = head(torch.randn(4, 6), torch.randn(4, 6))
    >>> tuple(predictions[0].shape), tuple(projections[1].shape)
    ((4, 8), (4, 8))
    """

    def __init__(self, channels: int, projection: int, bottleneck: int) -> None:
        super().__init__()
        self.projector = nn.ModuleDict(
            {
                "layer1": _hidden_layer(channels, projection),
                "layer2": _hidden_layer(projection, projection),
                "layer3": nn.Sequential(
                    nn.Linear(projection, projection, bias=False),
                    nn.BatchNorm1d(projection, affine=False),
                ),
            }
        )
        self.predictor = nn.ModuleDict(
            {
                "layer1": _hidden_layer(projection, bottleneck),
                "layer2": nn.Linear(bottleneck, projection),
            }
        )

    def forward(
        self, first: Tensor, second: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Predictions and projections ``(B, projection)`` of two views ``(B, channels)``.

        Views pass one after the other: each has statistics of its own.
        """
        projected = tuple(_through(self.projector, view) for view in (first, second))
        predicted = tuple(_through(self.predictor, view) for view in projected)
        return (predicted[0], predicted[1]), (projected[0], projected[1])


def _hidden_layer(incoming: int, outgoing: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(incoming, outgoing, bias=False), nn.BatchNorm1d(outgoing), nn.ReLU(inplace=True)
    )


def _through(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    for layer in layers.values():
        x = layer(x)
    return x


class Settings(SoundBankSettings):
    """Hyper-parameters of the objective; the defaults are those of the authors' code."""

    # projection, bottleneck: Lengths of a projection, and of the predictor's hidden layer.
    projection: PositiveInt = 2048
    bottleneck: PositiveInt = 512
    # head_learning_rate_factor, sound_learning_rate_factor: Learning rate of projections and
    # predictor, and of the sound network while it learns, as multiples of the recipe's.
    head_learning_rate_factor: Annotated[float, Field(gt=0)] = 1.0
    sound_learning_rate_factor: Annotated[float, Field(gt=0)] = 1.0
    freeze_image_trunk: bool = True  # Whether the image network stays as it starts
    # A file of VGGish's weights, as harritaylor/torchvggish converts them; the sound network then
    # stays as they are.
    vggish: str | None = None
    # Passes in which the sound network learns to tell kinds of sounds, before anything else is
    # learned; then it stays as it is. 0 to learn none: without `vggish` it learns with the rest.
    sound_epochs: Annotated[int, Field(ge=0)] = 0
    classes: PositiveInt = 22  # How many kinds there are, where the data do not say

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if self.vggish is not None and self.sound_epochs:
            raise ValueError("the sound network takes weights, or learns first: not both")
        return self


def NEEDS(settings: Mapping[str, Any]) -> Needs:  # noqa: N802
    """Images with sounds, and what sounds if the sound network learns it first."""
    return Needs(labels=bool(settings.get("sound_epochs")))


class TwoViewsFeed(Feed):
    """Images with sounds, and another view of each image, drawn independently."""

    def batch(self, rows: Rows, epoch: int) -> Batch:
        """The clips, and ``images_again``."""
        return super().batch(rows, epoch) | {_AGAIN: self.images(rows, epoch, 1)}


class SSPLTask(EmbeddingTask[SSPLNetwork, Settings]):
    """What the sound attends to in one view of an image predicts what it attends to in another."""

    _telling = False

    def start_epoch(self, epoch: int) -> None:
        """Whether kinds of sounds are learned still, in a pass (from 0)."""
        self._telling = epoch < self.settings.sound_epochs
        if self.settings.sound_epochs and not self._telling:
            for part in self.network.sound_trunk:
                self.network.freeze(part)

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, or on its sounds alone while kinds of sounds are learned."""
        network = self.network
        if self._telling:
            features = network.listen(batch["sounds"]).mean(dim=1)
            return label_loss(network.get_submodule(SOUND_CLASSES)(features), batch["labels"])
        heard = network.hear(batch["sounds"])
        views = []
        for images in (batch["images"], batch.get(_AGAIN, batch["images"])):
            visual = network.align(network.see(images), heard.features)
            views.append(attended(visual, place_cosines(visual, heard.audio)))
        return predictive_loss(*network.get_submodule(HEAD)(*views))

    def maps(self, batch: Batch) -> Tensor:
        """Cosine of each aligned place with the image's own sound, ``(B, h, w)``."""
        return self.network.maps(*self.encoded(batch))

    def similarities(self, batch: Batch) -> Tensor:
        """Largest cosine over places, of each image with each sound, ``(B, B)``."""
        images, sounds = self.encoded(batch)
        return torch.stack(
            [self.network.maps_of_all(image, sounds).amax(dim=(1, 2)) for image in images]
        )

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """Parts with learning rates of their own; rates of levels do not decay."""
        network, settings = self.network, self.settings
        sound = [*network.sound_trunk]
        if settings.sound_epochs:
            sound.append(network.get_submodule(SOUND_CLASSES))
        apart = [
            ParameterGroup(_trained(sound), settings.sound_learning_rate_factor),
            ParameterGroup(
                _trained([network.get_submodule(HEAD)]), settings.head_learning_rate_factor
            ),
            ParameterGroup([] if network.net_pc is None else network.net_pc.rates, weight_decay=0),
        ]
        named = {id(each) for group in apart for each in group.parameters}
        rest = [each for each in _trained([network]) if id(each) not in named]
        return [each for each in (ParameterGroup(rest), *apart) if each.parameters]


def _trained(parts: Sequence[nn.Module]) -> list[nn.Parameter]:
    return [each for part in parts for each in part.parameters() if each.requires_grad]


def prepare(preparation: Preparation) -> SSPLTask:
    """Build the task of a recipe, with as many kinds of sounds as the data have.

    Raises WeightsError where the file of VGGish's weights is missing or does not fit.
    """
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(SSPLPreprocessing)
    architecture = preparation.architecture(SSPLArchitecture)
    network = SSPLNetwork(architecture)
    channels = architecture.trunk.channels
    network.add_module(HEAD, PredictiveHead(channels, settings.projection, settings.bottleneck))
    if settings.sound_epochs:
        known = preparation.data.classes
        kinds = settings.classes if known is None else len(known)
        network.add_module(SOUND_CLASSES, nn.Linear(network.features, kinds))
    if settings.vggish is not None:
        parts = nn.ModuleDict(
            {name: part for name, part in network.net_sound.named_children() if name != "fc"}
        )
        load_into(parts, read_checkpoint(Path(settings.vggish)))
        for part in network.sound_trunk:
            network.freeze(part)
    needs = NEEDS(preparation.recipe.settings)
    front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
    training, validation = preparation.feeds(preprocessing.image, front_end, needs)
    views = TwoViewsFeed(
        training.source, training.augmentation, training.preprocessing, training.seed, needs
    )
    # Two views of a picture differ, so that a frozen trunk looks at each anew.
    preparation.see_once(network.image_trunk, None, validation)
    trunk = start_trunk(preparation, network, architecture.trunk)
    if settings.freeze_image_trunk:
        network.freeze(network.image_trunk)
    return SSPLTask(network, views, validation, settings, image_trunk_sha256=trunk)
