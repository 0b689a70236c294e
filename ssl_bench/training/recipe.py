"""What a training run is: the ``[variants.NAME.training]`` table of a baseline's recipe."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ssl_bench.errors import ModelError

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class TrainingRecipe(BaseModel):
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
    crop
        Side of the training crops, in pixels: the network's own input size.
    crop_area
        Smallest and largest area of a crop, as a share of the picture.
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

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    crop: Count = 112
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


def parse_recipe(table: dict[str, Any], where: str | Path) -> TrainingRecipe:
    """Check a ``training`` table.

    Parameters
    ----------
    table
        The table's content.
    where
        The file, for the message.

    Raises
    ------
    ModelError
        If a field is unknown, missing or out of range; all of them are named.
    """
    try:
        return TrainingRecipe.model_validate(table)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'training'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ModelError(
            f"the training table is not a recipe ({problems})",
            where=where,
            remedy="correct the named fields",
        ) from None


def read_recipe(path: Path, variant: str) -> TrainingRecipe:
    """Read the training recipe of one variant from a baseline's ``recipe.toml``.

    Raises
    ------
    ModelError
        If the file is missing or unreadable, or says nothing or something wrong about training.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            "this baseline has no recipe", where=path, remedy="name a baseline that has one"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"the recipe is not readable TOML ({error})", where=path, remedy="correct the file"
        ) from None
    table = content.get("variants", {}).get(variant, {}).get("training")
    if not isinstance(table, dict):
        raise ModelError(
            f"the recipe does not say how to train the variant {variant!r}",
            where=path,
            remedy=f"add a table [variants.{variant}.training], or train another baseline",
        )
    return parse_recipe(table, path)
