"""What a training run is: the ``[variants.NAME.training]`` table of a baseline's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ssl_bench.errors import ModelError
from ssl_bench.models.recipes import checked
from ssl_bench.models.registry import Baseline
from ssl_bench.training.augmentation import Augmentation

Count = Annotated[int, Field(ge=1)]


class TrainingRecipe(Augmentation):
    """Everything that decides the trained weights, apart from the data and the network.

    Attributes
    ----------
    objective
        What is trained, as the name of a module of :mod:`ssl_bench.training.tasks`: ``ez-vsl``
        (images with sounds), ``classification`` (pictures of single objects), and so on.
    scenes
        Number of training scenes or pictures, where they are made by code. A user's folder is used
        whole, unless a change of the recipe asks for so many of its clips, drawn by the seed.
    validation_scenes
        Number of scenes or pictures of the validation split; of a user's folder at most a tenth is
        held out.
    heard_only
        Whether scenes of ``synth`` are left out in which a category sounds that does not belong to
        the heard ones of the open set (its test splits are ``heard`` and ``unheard``).
    epochs, batch
        Passes over the scenes, scenes in one step. The incomplete last batch is dropped.
    optimizer
        ``adamw``, ``adam`` (weight decay as part of the gradient), or ``sgd``.
    schedule
        ``one-cycle``: the learning rate rises to its peak and falls again; ``constant``.
    peak_learning_rate, weight_decay
        Of the optimizer.
    momentum
        Of ``sgd``.
    warm_up
        Share of the steps of one cycle in which the learning rate rises.
    image_trunk
        Where the image trunk starts: ``object-classifier`` (the weights of the baseline named by
        ``object_prior``, trained on pictures of single objects without sound), ``imagenet``
        (torchvision's weights), or ``none`` (random, or frozen as the architecture says).
    resample
        Whether sounds of another rate, or of more channels, than the model takes are converted, in
        place of being refused.
    threads
        Threads that torch may use: weights are the same bits for the same number only.
    seed
        Of initialisation, order, augmentation and sound bank.
    settings
        Hyper-parameters of the objective; its module checks them.

    The fields of :class:`Augmentation` belong to the recipe, too.

    Examples
    --------
    >>> recipe = TrainingRecipe(
    ...     objective="ez-vsl", scenes=4000, epochs=4, batch=64, peak_learning_rate=4e-3,
    ...     settings={"tau": 0.15},
    ... )
    >>> recipe.optimizer, recipe.crop_area
    ('adamw', (0.4, 1.0))
    """

    objective: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    scenes: Count | None = None
    validation_scenes: Count = 500
    heard_only: bool = False
    epochs: Count
    batch: Annotated[int, Field(ge=2)]
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    peak_learning_rate: Annotated[float, Field(gt=0, le=1e30)]
    weight_decay: Annotated[float, Field(ge=0, le=1e30)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    warm_up: Annotated[float, Field(gt=0, lt=1)] = 0.3
    image_trunk: Literal["none", "object-classifier", "imagenet"] = "none"
    resample: bool = False
    threads: Count = 1
    seed: Annotated[int, Field(ge=0)] = 0
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.scenes is not None and self.scenes < self.batch:
            raise ValueError(f"scenes: {self.scenes:,} do not fill one batch of {self.batch:,}")
        return self

    @property
    def augmentation(self) -> Augmentation:
        """The augmentation alone."""
        return Augmentation(**{name: getattr(self, name) for name in Augmentation.model_fields})


def architecture_changes(changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of some changes is the network's architecture, as a table, and the rest.

    ModelError where one change is of a field within what another one replaces.

    Examples
    --------
    >>> architecture_changes({"epochs": 2, "architecture.trunk.width": 8})
    ({'trunk': {'width': 8}}, {'epochs': 2})
    """
    inner = "architecture."
    table: dict[str, Any] = {}
    for name, value in changes.items():
        if name.startswith(inner):
            *outer, last = name.removeprefix(inner).split(".")
            place = table
            for key in outer:
                place = place.setdefault(key, {})
                if not isinstance(place, dict):
                    break
            if not isinstance(place, dict) or isinstance(place.get(last), dict):
                raise ModelError(
                    f"{name} and another change are of the same field",
                    code="E_CHANGE_TWICE",
                    where="changes of the architecture",
                    remedy="change each field once",
                )
            place[last] = value
    return table, {name: value for name, value in changes.items() if not name.startswith(inner)}


def changed_recipe(recipe: TrainingRecipe, changes: Mapping[str, Any]) -> TrainingRecipe:
    """The recipe with some fields changed; ``settings.NAME`` names one of the settings.

    Raises
    ------
    ModelError
        If a field is unknown or out of range.

    Examples
    --------
    >>> recipe = TrainingRecipe(
    ...     objective="ez-vsl", epochs=20, batch=128, peak_learning_rate=1e-4,
    ...     settings={"tau": 0.03},
    ... )
    >>> changed = changed_recipe(recipe, {"batch": 32, "settings.tau": 0.1})
    >>> changed.batch, changed.epochs, changed.settings
    (32, 20, {'tau': 0.1})
    """
    inner = "settings."
    settings = {
        name.removeprefix(inner): value for name, value in changes.items() if name.startswith(inner)
    }
    outer = {name: value for name, value in changes.items() if not name.startswith(inner)}
    table = {**recipe.model_dump(), **outer}
    table["settings"] = {**recipe.settings, **settings}
    return checked(TrainingRecipe, table, "changes of the recipe")


def training_recipe(baseline: Baseline, variant: str) -> TrainingRecipe:
    """How one variant of a baseline is trained.

    Raises
    ------
    ModelError
        If there is no such variant, it is not trained here, or a field of its training table is
        unknown, missing or out of range (all of them are named).
    """
    where, variants = baseline.folder / "recipe.toml", baseline.recipe.variants
    trained = [name for name, chosen in variants.items() if chosen.training is not None]
    if variant not in trained:
        lenders = {each.weights_of for each in variants.values() if each.weights_of}
        if trained:
            remedy = f"choose another variant: {', '.join(trained)}"
        elif lenders:
            remedy = f"train {' or '.join(sorted(lenders))}, whose weights this one takes"
        else:
            remedy = "train another baseline: this one has nothing to learn here"
        raise ModelError(
            f"this baseline has no training recipe for the variant {variant!r}",
            code="E_VARIANT_UNTRAINED",
            where=where,
            remedy=remedy,
        )
    return checked(TrainingRecipe, variants[variant].training or {}, where)
