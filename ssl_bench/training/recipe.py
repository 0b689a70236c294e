"""What a training run is: the ``[variants.NAME.training]`` table of a baseline's recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ssl_bench.errors import ModelError
from ssl_bench.models.recipes import Recipe, Strict, checked

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class TrainingRecipe(Strict):
    """Everything that decides the trained weights, apart from the data and the network.

    Attributes
    ----------
    objective
        ``ez-vsl`` (images with sounds) or ``classification`` (pictures of single objects).
    scenes
        Number of training scenes or pictures.
    validation_scenes
        Number of scenes or pictures of the validation split.
    epochs, batch
        Passes over the scenes, scenes in one step. The incomplete last batch is dropped.
    optimizer, schedule
        AdamW; the learning rate rises to its peak and falls again in one cycle.
    peak_learning_rate, weight_decay
        Of the optimizer.
    warm_up
        Share of the steps in which the learning rate rises.
    tau
        Temperature of a contrastive objective; none for classification.
    crop_area
        Smallest and largest area of a crop, as a share of the picture; crops are resized to the
        network's input.
    crop_aspect
        Largest ratio of width to height of a crop, and of height to width.
    flip
        Probability that a crop is mirrored.
    image_trunk
        Where the image trunk starts: ``object-classifier`` (the weights of ``ogl-l1``, trained
        on pictures of single objects without sound) or ``none`` (random).
    sound_bank_per_category
        How many training sounds of each category travel with the weights, embedded; the model's
        own audio-blind map is the maximum over them.
    threads
        Threads that torch may use: weights are the same bits for the same number only.
    seed
        Of initialisation, order, augmentation and sound bank.

    Examples
    --------
    >>> recipe = TrainingRecipe(
    ...     objective="ez-vsl", scenes=4000, epochs=4, batch=64, peak_learning_rate=4e-3, tau=0.15
    ... )
    >>> recipe.steps_per_epoch
    62
    """

    objective: Literal["ez-vsl", "classification"]
    scenes: Count
    validation_scenes: Count = 500
    epochs: Count
    batch: Annotated[int, Field(ge=2)]
    optimizer: Literal["adamw"] = "adamw"
    schedule: Literal["one-cycle"] = "one-cycle"
    peak_learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warm_up: Annotated[float, Field(gt=0, lt=1)] = 0.3
    tau: Annotated[float, Field(gt=0)] | None = None
    crop_area: tuple[Fraction, Fraction] = (0.4, 1.0)
    crop_aspect: Annotated[float, Field(ge=1)] = 4 / 3
    flip: Fraction = 0.5
    image_trunk: Literal["none", "object-classifier"] = "none"
    sound_bank_per_category: Count = 4
    threads: Count = 1
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.objective == "ez-vsl") != (self.tau is not None):
            raise ValueError("tau belongs to the objective ez-vsl, and only to it")
        if self.objective == "classification" and self.image_trunk != "none":
            raise ValueError("the object classifier has no other image trunk to start from")
        if self.scenes < self.batch:
            raise ValueError(f"{self.scenes} scenes do not fill one batch of {self.batch}")
        if not 0 < self.crop_area[0] <= self.crop_area[1]:
            raise ValueError("crop_area must rise and start above 0")
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Number of whole batches in one pass."""
        return self.scenes // self.batch


def training_recipe(recipe: Recipe, variant: str, where: Path) -> TrainingRecipe:
    """How one variant of a baseline is trained.

    Parameters
    ----------
    recipe
        The baseline's recipe.
    variant
        Name of the variant.
    where
        The recipe's file, for messages.

    Raises
    ------
    ModelError
        If there is no such variant, it is not trained here, or a field of its training table is
        unknown, missing or out of range (all of them are named).
    """
    trained = [name for name, chosen in recipe.variants.items() if chosen.training is not None]
    if variant not in trained:
        raise ModelError(
            f"this baseline is not trained on {variant!r}",
            where=where,
            remedy=f"train it on: {', '.join(trained)}"
            if trained
            else "train another baseline: this one has nothing to learn here",
        )
    return checked(TrainingRecipe, recipe.variants[variant].training or {}, where)
