"""How a baseline is assembled: its ``recipe.toml``, and what its class is given to build itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, model_validator

from ssl_bench import schemas
from ssl_bench.errors import ModelError, WeightsError, one_of
from ssl_bench.extras import install_line
from ssl_bench.protocols.conventions import Interpolation
from ssl_bench.schemas import Document

Table = TypeVar("Table", bound=BaseModel)

UNPUBLISHED = "unpublished"
"""In place of an address of weights that no one has published."""


def _name_of(given: Any) -> Any:
    return os.fspath(given) if isinstance(given, os.PathLike) else given


FileName = Annotated[str, BeforeValidator(_name_of)]
"""An option that is the name of a file, which Python code may give as a path."""


class NoOptions(Document):
    """The options of a localizer that has none."""


class ShippedWeights(Document):
    """A weights file in the baseline's folder, and the digest that it must have, if any."""

    file: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class OfficialWeights(Document):
    """A weights file that its authors publish.

    `sha256` holds the first digits of its digest, at least eight: torchvision puts as many into the
    names of its files.
    """

    url: Annotated[str, Field(pattern=r"^(https|file)://.*/[\w.-]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]


class PackagedWeights(Document):
    """A weights file that an installed Python package brings.

    `extra` is the one of this project that installs it.
    """

    package: Annotated[str, Field(pattern=r"^\w+$")]
    file: Annotated[str, Field(pattern=r"^[\w./-]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    extra: str

    def path(self) -> Path:
        """Where the file lies; raises WeightsError where the package is not installed."""
        found = find_spec(self.package)
        if found is None or found.origin is None:
            raise WeightsError(
                f"the Python package {self.package}, which brings these weights, is not installed",
                code="E_WEIGHTS_PACKAGE",
                remedy=install_line(self.extra),
            )
        return Path(found.origin).parent / self.file


Range = tuple[float, float]


class ObjectGuidance(Document):
    """How a model's maps are mixed with those of an object prior.

    Both are brought to one grid, put on a common scale, and added: ``alpha`` times the audio-visual
    map plus ``1 - alpha`` times the prior.

    Examples
    --------
    >>> ObjectGuidance().upsampling, ObjectGuidance().alpha
    ('bilinear-corners', 0.4)
    """

    # Weight of the audio-visual map where the caller names none, in [0, 1].
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.4
    upsampling: Interpolation = "bilinear-corners"  # How maps are brought to the grid
    # Height and width of the grid; that of the public code is 224.
    grid: PositiveInt = 224
    # ``min-max``: each map from its own minimum to its own maximum. ``fixed-range``: every map
    # from one end to the other of a range, which it may leave.
    normalisation: Literal["min-max", "fixed-range"] = "min-max"
    # audio_visual_range, prior_range: The two ranges, for ``fixed-range`` and only for it.
    audio_visual_range: Range | None = None
    prior_range: Range | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        ranges = (self.audio_visual_range, self.prior_range)
        if any((each is not None) != (self.normalisation == "fixed-range") for each in ranges):
            raise ValueError("the two ranges belong to fixed-range, which needs both")
        if any(each is not None and not each[0] < each[1] for each in ranges):
            raise ValueError("a range must rise")
        return self


class Preset(Document):
    """One published way to feed a network, and perhaps to mix its maps with an object prior.

    Every field but ``object_guided`` belongs to the table ``preprocessing``.
    """

    model_config = ConfigDict(extra="allow")

    object_guided: ObjectGuidance | None = None

    @property
    def preprocessing(self) -> dict[str, Any]:
        """The preprocessing table, without the name of the preset."""
        return dict(self.model_extra or {})


class Variant(Document):
    """One form of a baseline, such as its full size or its small one.

    A network may be fed in more than one published way: as its authors do, or as others did when
    they evaluated it again. Each way is a *preset*, a complete table ``preprocessing`` under a name
    of its own. In a ``recipe.toml``::

        [variants.full.presets.original.image]
        resize = "full-pil"

        [variants.full.presets.sslalign.image]
        resize = "full-tensor"

        [variants.full.presets.sslalign.object_guided]
        alpha = 0.4

    The first preset is the default. The option ``preset=NAME`` chooses another one; the
    localizer's class receives the chosen table as its preprocessing, with the name as the field
    ``preset``, and hands the name on to results. A variant with one way only has the table
    ``preprocessing`` instead, where it may name itself by the same field.
    """

    about: str  # One sentence for people
    # Another variant of the same baseline, whose tables this one takes except for what it states
    # itself; the weights that ship are not taken.
    like: str | None = None
    # architecture, preprocessing: Tables that the localizer's class checks. Where there are
    # presets, `preprocessing` is that of the default one, and a recipe does not write it.
    architecture: dict[str, Any] = Field(default_factory=dict)
    preprocessing: dict[str, Any] = Field(default_factory=dict)
    # Preprocessing tables by name, where there is a choice.
    presets: dict[str, Preset] = Field(default_factory=dict)
    # The weights that ship; none where there are none to ship, or none are needed.
    weights: ShippedWeights | None = None
    # Another baseline whose shipped weights serve this one, too: those of its variant of the same
    # name.
    weights_of: str | None = None
    # The file of an installed package that is taken where no weights are given.
    packaged_weights: PackagedWeights | None = None
    # The published file that is fetched where ``download`` is given as weights.
    official_weights: OfficialWeights | None = None
    # Where its authors publish weights, for people: the page or the file, or "unpublished".
    weights_at: Annotated[str, Field(pattern=r"^(https://\S+|unpublished)$")] | None = None
    # The variant of the object prior that goes with this one, where it has another name.
    object_prior_variant: str | None = None
    # How an object prior is mixed in, where this variant differs from the recipe.
    object_guided: ObjectGuidance | None = None
    # Table that the training package checks; none where this variant is not trained here.
    training: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _take_default_preset(cls, table: Any) -> Any:
        presets = table.get("presets") if isinstance(table, dict) else None
        if not isinstance(presets, dict) or not presets:
            return table
        if "preprocessing" in table:
            raise ValueError("preprocessing and presets exclude each other")
        name, default = next(iter(presets.items()))
        if not isinstance(default, dict):
            return table
        own = {key: value for key, value in default.items() if key != "object_guided"}
        return {**table, "preprocessing": {**own, "preset": name}}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weights is not None and self.weights_of is not None:
            raise ValueError("weights and weights_of exclude each other")
        return self

    def preprocessing_of(self, preset: str | None) -> dict[str, Any]:
        """The preprocessing table of a preset; None names the default one.

        Raises
        ------
        ModelError
            If there is no preset of that name.

        Examples
        --------
        >>> variant = Variant(about="A large one.", presets={"original": {}, "other": {"x": 1}})
        >>> variant.preprocessing_of(None), variant.preprocessing_of("other")
        ({'preset': 'original'}, {'x': 1, 'preset': 'other'})
        """
        if preset is None or preset == self.preprocessing.get("preset"):
            return self.preprocessing
        if preset not in self.presets:
            known = list(self.presets) or [str(self.preprocessing.get("preset", "none"))]
            raise ModelError(
                f"there is no preset {preset!r}",
                code="E_PRESET_UNKNOWN",
                remedy=f"leave it out, or {one_of(known, preset)}",
            )
        return {**self.presets[preset].preprocessing, "preset": preset}

    def guidance_of(self, preset: str | None) -> ObjectGuidance | None:
        """How an object prior is mixed in with a preset; None where the recipe decides.

        Examples
        --------
        >>> variant = Variant(about="A large one.", presets={"original": {}, "other": {
        ...     "object_guided": {"alpha": 0.5}}})
        >>> variant.guidance_of(None), variant.guidance_of("other").alpha
        (None, 0.5)
        """
        chosen = self.presets.get(preset or str(self.preprocessing.get("preset")))
        own = None if chosen is None else chosen.object_guided
        return own or self.object_guided


class Recipe(Document):
    """Content of a ``recipe.toml``."""

    # Its class, as ``module:Class``, or ``FILE.py:Class`` for a file in the baseline's folder.
    localizer: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    default_variant: str = "standard"  # The variant that is meant where none is named
    # The baseline that object-guided localization mixes in, if the model has one; its variant of
    # the same name is taken, unless a variant says another.
    object_prior: str | None = None
    object_guided: ObjectGuidance = ObjectGuidance()  # How it is mixed in
    # Keys of a weights file by which it is known to be for this model, or for one of the same
    # keys. Of several models whose keys a file has, those with the most keys are meant.
    recognised_by: tuple[str, ...] = ()
    # Variants by name; a baseline without settings may leave them out.
    variants: Annotated[dict[str, Variant], Field(min_length=1)] = Field(
        default_factory=lambda: {"standard": Variant(about="Its only form.")}
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_likes(cls, table: Any) -> Any:
        variants = table.get("variants") if isinstance(table, dict) else None
        if not isinstance(variants, dict):
            return table
        return {
            **table,
            "variants": {name: _filled(each, variants) for name, each in variants.items()},
        }

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.default_variant not in self.variants:
            raise ValueError(f"default_variant {self.default_variant!r} is none of the variants")
        return self


_TAKEN = (
    "architecture",
    "preprocessing",
    "presets",
    "object_guided",
    "object_prior_variant",
    "training",
)


def _filled(variant: Any, variants: Mapping[str, Any]) -> Any:
    """A variant's table with what it takes from the one that it is like."""
    if not isinstance(variant, dict) or "like" not in variant:
        return variant
    other = variants.get(variant["like"])
    if not isinstance(other, dict) or "like" in other:
        raise ValueError(f"like names {variant['like']!r}, which is no variant with its own tables")
    taken = {key: other[key] for key in _TAKEN if key in other}
    return merged({"object_prior_variant": variant["like"], **taken}, variant)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two tables in one; where both state a value, that of `over`."""
    both = {
        key: merged(under[key], value)
        if isinstance(value, dict) and isinstance(under.get(key), dict)
        else value
        for key, value in over.items()
    }
    return {**under, **both}


@dataclass(frozen=True)
class Assembly:
    """What a baseline's class is given to build itself, by its class method ``assemble``.

    The tables of the variant, and the caller's options, are not checked yet. `recipe` is the file,
    for messages. `weights` are None where none ship and none were given; `weights_sha256` is the
    digest that they must have, where the recipe names one; `seed` is for a random localizer.
    """

    name: str
    variant: str
    recipe: Path
    architecture: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    weights: Path | None
    weights_sha256: str | None
    seed: int
    options: Mapping[str, Any]
    weights_at: str | None = None

    def checked_options(self, model: type[Table]) -> Table:
        """The options, checked; raises ModelError where one is unknown or out of range."""
        return checked(model, self.options, f"options of {self.name}")

    def needed_weights(self) -> Path:
        """The weights file; raises WeightsError where there is none."""
        if self.weights is None:
            published = (
                "" if self.weights_at is None else f", which is published at {self.weights_at}"
            )
            remedy = (
                f"give the authors' file with --weights FILE{published}; 'ssl-bench models "
                f"{self.name}' says where it comes from"
            )
            if self.weights_at == UNPUBLISHED:
                remedy = (
                    "none are published: train it with the authors' code, and give what that "
                    f"writes with --weights FILE; 'ssl-bench models {self.name}' says more"
                )
            raise WeightsError(
                f"the variant {self.variant!r} of {self.name} needs a weights file, and none was "
                "given",
                code="E_WEIGHTS_NEEDED",
                remedy=remedy,
            )
        return self.weights

    def refuse_weights(self) -> None:
        """Raise ModelError where a weights file was given to a localizer that has none."""
        if self.weights is not None:
            raise ModelError(
                f"{self.name} has no weights to load",
                code="E_WEIGHTS_NOT_TAKEN",
                remedy="leave the weights out",
            )


def checked(model: type[Table], table: Mapping[str, Any], where: str | Path) -> Table:
    """Check a table against a pydantic model.

    Raises
    ------
    ModelError
        If a field is unknown, missing or out of range; one error names all of them.

    Examples
    --------
    >>> checked(NoOptions, {"speed": 1}, "options of center")
    Traceback (most recent call last):
    ...
    ssl_bench.errors.ModelError: options of center: speed is not a known field. Leave it out.
    """
    return schemas.checked(dict(table), model, where, error=ModelError)
