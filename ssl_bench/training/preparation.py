"""What a task is given to build itself: the recipe, the data, where the image trunk starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import nn

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.models.checkpoints import Checkpoint, load_into, read_checkpoint
from ssl_bench.models.downloads import fetch
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.recipes import OfficialWeights, Table, Variant, checked
from ssl_bench.models.registry import shipped_weights
from ssl_bench.training.data import object_pictures, training_scenes, validation_scenes
from ssl_bench.training.feeds import AudioVisualFeed, ObjectFeed
from ssl_bench.training.neighbours import NeighbourFiles
from ssl_bench.training.progress import Progress
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.sources import AudioVisualSource, LabelledSource, SoundFrontEnd

CLASSIFIER_HEAD = ("fc.weight", "fc.bias")
"""Keys of a residual classifier that its trunk does without."""

ImageNetwork = Literal["resnet18", "resnet34", "vgg11"]

IMAGENET: Mapping[ImageNetwork, OfficialWeights] = {
    "resnet18": OfficialWeights(
        url="https://download.pytorch.org/models/resnet18-f37072fd.pth", sha256="f37072fd"
    ),
    "resnet34": OfficialWeights(
        url="https://download.pytorch.org/models/resnet34-b627a593.pth", sha256="b627a593"
    ),
    "vgg11": OfficialWeights(
        url="https://download.pytorch.org/models/vgg11-8a719046.pth", sha256="8a719046"
    ),
}
"""torchvision's weights for ImageNet, at their official addresses."""

DEFAULT_CLASSIFIER = "ogl-l1"
"""The object classifier that image trunks start from where the baseline names no other prior."""


class TrainingData(Protocol):
    """What is trained on: the embedded world, or a user's folder."""

    @property
    def name(self) -> str:
        """Its name in the record."""
        ...

    @property
    def version(self) -> int | None:
        """Version of the embedded world; None for a folder."""
        ...

    @property
    def left_out(self) -> int:
        """Number of examples that were left out because a file is missing or unusable."""
        ...

    @property
    def held_out(self) -> int:
        """Number of examples that were left out because they belong to a test set."""
        ...

    @property
    def checked_against(self) -> tuple[str, ...]:
        """Names of the test sets and lists that no example may belong to, as far as was looked."""
        ...

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes of objects; None where the recipe says how many there are."""
        ...

    def scenes(
        self,
        recipe: TrainingRecipe,
        seed: int,
        front_end: SoundFrontEnd,
        progress: Progress | None,
        *,
        truth: bool,
    ) -> tuple[AudioVisualSource, AudioVisualSource]:
        """Images with sounds, for training and for validation."""
        ...

    def objects(
        self, recipe: TrainingRecipe, seed: int, progress: Progress | None
    ) -> tuple[LabelledSource, LabelledSource]:
        """Pictures of single objects, for training and for validation."""
        ...


class EmbeddedWorld:
    """The embedded world's splits for training and validation."""

    name = "synth"
    left_out = 0
    held_out = 0
    # Its test splits are drawn apart from its training split.
    checked_against = ()
    classes = None

    @property
    def version(self) -> int | None:
        """Version of the world."""
        from ssl_bench.testsets.synth.streams import WORLD_VERSION

        return WORLD_VERSION

    def scenes(
        self,
        recipe: TrainingRecipe,
        seed: int,
        front_end: SoundFrontEnd,
        progress: Progress | None,
        *,
        truth: bool,
    ) -> tuple[AudioVisualSource, AudioVisualSource]:
        """The first scenes of the splits ``train`` and ``val``."""
        del seed
        return (
            training_scenes(_count(recipe), front_end, progress, truth=truth),
            validation_scenes(recipe.validation_scenes, front_end, progress),
        )

    def objects(
        self, recipe: TrainingRecipe, seed: int, progress: Progress | None
    ) -> tuple[LabelledSource, LabelledSource]:
        """Pictures of single objects."""
        del seed
        return object_pictures(_count(recipe), recipe.validation_scenes, progress)


@dataclass(frozen=True)
class Preparation:
    """Everything that decides a task.

    Attributes
    ----------
    baseline
        Name of the baseline.
    recipe_path
        Its ``recipe.toml``, for messages.
    variant_name, variant
        The variant, with its tables of architecture and preprocessing, not yet checked.
    object_prior
        The baseline whose trunk an image trunk may start from, if the recipe names one.
    recipe
        How it is trained; the settings of the objective are not yet checked.
    data
        What it is trained on.
    seed
        The seed in force: the recipe's, or another that was asked for.
    image_trunk
        A weights file for the image trunk, where the caller gave one.
    neighbours
        Features by which clips are compared, where the caller gave some.
    progress
        Told while data are read.
    """

    baseline: str
    recipe_path: Path
    variant_name: str
    variant: Variant
    object_prior: str | None
    recipe: TrainingRecipe
    data: TrainingData
    seed: int
    image_trunk: Path | None = None
    neighbours: NeighbourFiles | None = None
    progress: Progress | None = None

    def settings(self, model: type[Table]) -> Table:
        """The objective's hyper-parameters, checked; raises ModelError where one is wrong."""
        return checked(
            model, self.recipe.settings, f"{self.recipe_path}, settings of {self.recipe.objective}"
        )

    def architecture(self, model: type[Table]) -> Table:
        """The table of the architecture, checked; raises ModelError where it is wrong."""
        return checked(model, self.variant.architecture, self.recipe_path)

    def preprocessing(self, model: type[Table]) -> Table:
        """The table of the preprocessing, checked; raises ModelError where it is wrong."""
        return checked(model, self.variant.preprocessing, self.recipe_path)

    def audio_visual_feeds(
        self, image: ImagePreprocessing, sound: SoundFrontEnd, *, truth: bool = False
    ) -> tuple[AudioVisualFeed, AudioVisualFeed]:
        """Feeds of images with sounds, for training and for validation.

        Parameters
        ----------
        image
            The model's preprocessing of images.
        sound
            The model's front end for sounds; picklable.
        truth
            Whether training examples carry their truth, for a supervised objective. Validation
            examples of the embedded world always do.

        Raises
        ------
        DataError
            If the data are unusable, or hold no truth and it is asked for.
        """
        training, validation = self.data.scenes(
            self.recipe, self.seed, sound, self.progress, truth=truth
        )
        augmentation = self.recipe.augmentation
        return (
            AudioVisualFeed(training, augmentation, image, self.seed),
            AudioVisualFeed(validation, augmentation, image, self.seed),
        )

    def object_feeds(self, image: ImagePreprocessing) -> tuple[ObjectFeed, ObjectFeed]:
        """Feeds of pictures of single objects, for training and for validation.

        Raises
        ------
        DataError
            If the data hold no such pictures.
        """
        training, validation = self.data.objects(self.recipe, self.seed, self.progress)
        augmentation = self.recipe.augmentation
        return (
            ObjectFeed(training, augmentation, image, self.seed),
            ObjectFeed(validation, augmentation, image, self.seed),
        )

    def start_image_trunk(
        self,
        trunk: nn.Module,
        *,
        network: ImageNetwork = "resnet18",
        unused: Collection[str] = CLASSIFIER_HEAD,
        kept: Collection[str] = (),
    ) -> str | None:
        """Start an image trunk as the recipe's ``image_trunk`` says.

        Parameters
        ----------
        trunk
            Has the keys of the classifier whose weights it takes.
        network
            Which of torchvision's networks it is, where it starts from ImageNet weights and the
            caller gave no file.
        unused
            Keys of the file that the trunk does without.
        kept
            Keys of the trunk that the file does not have and that stay as they were drawn.

        Returns
        -------
        str or None
            SHA-256 of the weights file; None where the trunk stays random.

        Raises
        ------
        ModelError
            If a file was given and the recipe starts from none, or none ships.
        WeightsError
            If the weights are missing or do not fit.
        """
        if self.recipe.image_trunk == "none":
            self.refuse_image_trunk()
            return None
        checkpoint = self._image_trunk_weights(network)
        own = trunk.state_dict()
        tensors = {**checkpoint.tensors, **{key: own[key] for key in kept}}
        load_into(trunk, replace(checkpoint, tensors=tensors), ignored=unused)
        return checkpoint.sha256

    def refuse_image_trunk(self) -> None:
        """Raise ModelError where a weights file was given for a trunk that starts from none."""
        if self.image_trunk is not None or self.recipe.image_trunk != "none":
            raise ModelError(
                f"{self.baseline} has no image trunk to start from other weights",
                where=self.recipe_path,
                remedy="leave the weights of the image trunk out",
            )

    def _image_trunk_weights(self, network: ImageNetwork) -> Checkpoint:
        if self.image_trunk is not None:
            return read_checkpoint(self.image_trunk)
        if self.recipe.image_trunk == "imagenet":
            return read_checkpoint(fetch(IMAGENET[network]))
        return self.object_classifier()[1]

    def object_classifier(self) -> tuple[str, Checkpoint]:
        """Name and weights of the classifier of single objects that ships for this variant.

        Raises
        ------
        WeightsError
            If none ships.
        """
        prior = self.object_prior or DEFAULT_CLASSIFIER
        shipped = shipped_weights(prior, self.variant_name)
        if shipped is None:
            raise WeightsError(
                f"the weights of {prior} are needed, and none ship",
                where=self.recipe_path,
                remedy=f"run 'ssl-bench train --model {prior}', and give its weights file",
            )
        path, digest = shipped
        return prior, read_checkpoint(path, expected_sha256=digest)


def described(preparation: Preparation) -> dict[str, Any]:
    """What tells one run from another, apart from the data: JSON-able."""
    return {
        "baseline": preparation.baseline,
        "variant": preparation.variant_name,
        "architecture": preparation.variant.architecture,
        "preprocessing": preparation.variant.preprocessing,
        "recipe": preparation.recipe.model_dump(mode="json"),
        "seed": preparation.seed,
    }


def _count(recipe: TrainingRecipe) -> int:
    if recipe.scenes is None:
        raise ModelError(
            "this recipe does not say how many scenes of the embedded world to train on",
            where="scenes",
            remedy="add scenes to the recipe, or train on a folder",
        )
    return recipe.scenes
