"""What an objective builds its task from: recipe, data, and the first weights of the network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from torch import nn

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.models.checkpoints import Checkpoint, load_into, read_checkpoint
from ssl_bench.models.downloads import fetch
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.image_trunks import FrozenTrunk
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.recipes import OfficialWeights, Table, Variant, checked, merged
from ssl_bench.models.registry import Baseline, load_baseline
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.models.trained import PriorPreprocessing
from ssl_bench.training.data import FrontEnd, Needs, TrainingData
from ssl_bench.training.feeds import Feed
from ssl_bench.training.neighbours import NeighbourFiles
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run_state import Progress
from ssl_bench.training.trunk_maps import refuse_varied, trunk_maps

CLASSIFIER_HEAD = ("fc.weight", "fc.bias")
"""Keys of a residual classifier that its trunk does not use."""

Preprocessing = TypeVar("Preprocessing", bound=PriorPreprocessing)
ImageNetwork = Literal["resnet18", "resnet34", "vgg11", "vgg16"]

_DIGESTS: Mapping[ImageNetwork, str] = {
    "resnet18": "f37072fd",
    "resnet34": "b627a593",
    "vgg11": "8a719046",
    "vgg16": "397923af",
}
IMAGENET = {
    name: OfficialWeights(
        url=f"https://download.pytorch.org/models/{name}-{digest}.pth", sha256=digest
    )
    for name, digest in _DIGESTS.items()
}
"""torchvision's weights for ImageNet, at their official URLs."""

DEFAULT_CLASSIFIER = "ogl-l1"
"""The object classifier that image trunks start from where the baseline names no other prior."""

_AUDIO_VISUAL = Needs()


@dataclass(frozen=True)
class Preparation:
    """Everything that decides a task."""

    # baseline, variant_name: What is trained.
    baseline: Baseline
    variant_name: str
    recipe: TrainingRecipe  # How it is trained; the settings of the objective are not yet checked
    data: TrainingData  # What it is trained on
    seed: int  # The seed in force: the recipe's, or another that was chosen
    # image_trunk, neighbours: A weights file for the image trunk, and features by which clips are
    # compared, if given.
    image_trunk: Path | None = None
    neighbours: NeighbourFiles | None = None
    progress: Progress | None = None  # Called while data are made or read
    # Fields of the network's architecture that differ from the variant's.
    changed_architecture: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recipe_path(self) -> Path:
        """The baseline's ``recipe.toml``, for messages."""
        return self.baseline.folder / "recipe.toml"

    @property
    def variant(self) -> Variant:
        """The variant, with its tables of architecture and preprocessing, not yet checked."""
        return self.baseline.variant(self.variant_name)

    def settings(self, model: type[Table]) -> Table:
        """The objective's hyper-parameters, checked; raises ModelError where one is wrong."""
        where = f"{self.recipe_path}, settings of {self.recipe.objective}"
        return checked(model, self.recipe.settings, where)

    def architecture(self, model: type[Table]) -> Table:
        """The table of the architecture, checked; raises ModelError where it is wrong."""
        where = "changes of the architecture" if self.changed_architecture else self.recipe_path
        return checked(model, self.architecture_table, where)

    @property
    def architecture_table(self) -> dict[str, Any]:
        """The table of the architecture, not yet checked."""
        return merged(self.variant.architecture, self.changed_architecture)

    def preprocessing(self, model: type[Preprocessing]) -> Preprocessing:
        """The table of the preprocessing, checked; raises ModelError where it is wrong."""
        table = checked(model, self.variant.preprocessing, self.recipe_path)
        return table.resampling() if self.recipe.resample else table

    def feeds(
        self,
        image: ImagePreprocessing,
        front_end: FrontEnd | None = None,
        needs: Needs = _AUDIO_VISUAL,
    ) -> tuple[Feed, Feed]:
        """Feeds for training and for validation, with the model's preprocessing of images.

        Where sounds are needed, the model's front end for them, picklable, is, too. Raises
        DataError if the data are unusable, or lack what is needed.
        """
        sources = self.data.sources(needs, self.recipe, self.seed, front_end, self.progress)
        augmentation = self.recipe.augmentation
        training, validation = (
            Feed(source, augmentation, image, self.seed, needs) for source in sources
        )
        return training, validation

    def embedding_feeds(self, trunk: nn.Module | None = None) -> tuple[Feed, Feed]:
        """Feeds of images with sounds, prepared as the variant of an embedding model requires.

        Where the image trunk is frozen, its maps stand for the images, as :meth:`see_once` says.
        """
        preprocessing = self.preprocessing(EmbeddingPreprocessing)
        front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
        feeds = self.feeds(preprocessing.image, front_end)
        self.see_once(trunk, *feeds)
        return feeds

    def see_once(self, trunk: nn.Module | None, *feeds: Feed) -> None:
        """Let a frozen trunk look at each picture once: its maps stand for the images then.

        Nothing changes with another trunk. ModelError where the recipe varies pictures.
        """
        if isinstance(trunk, FrozenTrunk):
            refuse_varied(self.recipe.augmentation, self.recipe_path)
            for feed in feeds:
                feed.maps = trunk_maps(trunk, feed.source, feed.preprocessing, self.progress)

    def start_image_trunk(
        self,
        trunk: nn.Module,
        *,
        network: ImageNetwork = "resnet18",
        unused: Collection[str] = CLASSIFIER_HEAD,
        kept: Collection[str] = (),
    ) -> str | None:
        """Load the weights that the recipe's ``image_trunk`` names into an image trunk.

        Parameters
        ----------
        trunk
            Has the keys of the classifier whose weights it takes.
        network
            Which of torchvision's networks it is, if it starts from ImageNet.
        unused, kept
            Keys of the file that the trunk does not use, and keys of the trunk that the file does
            not have and that stay as they were drawn.

        Returns
        -------
        str or None
            SHA-256 of the weights file, or of that of a frozen trunk; None if the trunk stays
            random.

        Raises
        ------
        ModelError
            If a file was given and the recipe starts from none, or none ships.
        WeightsError
            If the weights are missing or do not fit.
        """
        if self.recipe.image_trunk == "none" or isinstance(trunk, FrozenTrunk):
            self.refuse_image_trunk()
            return trunk.sha256 if isinstance(trunk, FrozenTrunk) else None
        if self.image_trunk is not None:
            checkpoint = read_checkpoint(self.image_trunk)
        elif self.recipe.image_trunk == "imagenet":
            checkpoint = read_checkpoint(fetch(IMAGENET[network]))
        else:
            _, checkpoint = self.object_classifier()
        own = trunk.state_dict()
        tensors = {**checkpoint.tensors, **{key: own[key] for key in kept}}
        load_into(trunk, replace(checkpoint, tensors=tensors), ignored=unused)
        return checkpoint.sha256

    def refuse_image_trunk(self) -> None:
        """Raise ModelError where a weights file was given for a trunk that starts from none."""
        if self.image_trunk is not None or self.recipe.image_trunk != "none":
            raise ModelError(
                f"{self.baseline.name} has no image trunk to start from other weights",
                code="E_IMAGE_TRUNK_UNUSED",
                where=self.recipe_path,
                remedy="leave the weights of the image trunk out",
            )

    def object_classifier(self) -> tuple[str, Checkpoint]:
        """Name and weights of the object classifier that ships for this variant.

        Raises WeightsError if none ships.
        """
        prior = self.baseline.recipe.object_prior or DEFAULT_CLASSIFIER
        variant = self.variant.object_prior_variant or self.variant_name
        shipped = load_baseline(prior).shipped_weights(variant)
        if shipped is None:
            raise WeightsError(
                f"the weights of {prior} are needed, and none ship",
                code="E_WEIGHTS_MISSING",
                where=self.recipe_path,
                remedy=f"run 'ssl-bench train --model {prior}', and give its weights file",
            )
        path, digest = shipped
        return prior, read_checkpoint(path, expected_sha256=digest)


Initialisation = Literal["torch", "ez-vsl"]
"""Distributions of first weights: torch's own, or those of EZ-VSL, which SLAVC and FNAC share."""


def initialise(parts: Iterable[nn.Module], initialisation: Initialisation) -> None:
    """Draw the first weights of some parts of a network, in place, from torch's own generator.

    With ``ez-vsl``, as in the public code of EZ-VSL, SLAVC and FNAC: weights of convolutions from
    He's normal distribution of variance 2 / (output channels * kernel area); those of linear layers
    from a normal distribution of deviation 0.01, which torch cuts at minus and plus 2; scales of
    batch normalisation from a normal distribution of mean 1 and deviation 0.02, and its shifts 0.
    Biases of convolutions and linear layers stay as they are. With ``torch`` nothing changes, and
    nothing is drawn.

    Examples
    --------
    >>> layer = nn.Linear(512, 512)
    >>> initialise([layer], "ez-vsl")
    >>> round(layer.weight.std().item(), 3)
    0.01
    """
    if initialisation == "torch":
        return
    for part in parts:
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.01)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, mean=1.0, std=0.02)
                nn.init.zeros_(layer.bias)
