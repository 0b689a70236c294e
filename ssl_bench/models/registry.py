"""Baselines of this project, each one folder, and loading localizers by name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from ssl_bench.arguments import checked_arguments
from ssl_bench.errors import ModelError, WeightsError, one_of
from ssl_bench.extras import extra_needed
from ssl_bench.files import content_folder, sha256_of_file
from ssl_bench.models.cards import Card
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.external import instantiate, load_class, load_plug_in, plug_ins
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import (
    Assembly,
    NoOptions,
    ObjectGuidance,
    Recipe,
    Variant,
    checked,
)
from ssl_bench.schemas import read_toml

PRIOR = "prior"
"""Option that names the object prior, in place of the one that the recipe names."""

PRESET = "preset"
"""Option that names the preprocessing preset of a baseline, in place of its variant's default."""

PRIOR_WEIGHTS = "prior_weights"
"""Option that names the weights file of the object prior."""

DOWNLOAD = "download"
"""What is given in place of a weights file to fetch the one that its authors publish."""

PRIOR_VARIANT = "prior_variant"
"""Option that names the variant of the object prior of a model that is written elsewhere."""

UPSAMPLING = "ogl_upsampling"
"""Option that names how maps are up-sampled before they are mixed with an object prior."""

_USUAL_PRIOR = "ogl-l1"

_Assemble = Callable[[Assembly], Localizer | AnnotationLocalizer]


def list_baselines() -> list[str]:
    """Names of the baselines that this project ships, in alphabetical order.

    Examples
    --------
    >>> {"center", "ezvsl"} <= set(list_baselines())
    True
    """
    return sorted(card.parent.name for card in content_folder("baselines").glob("*/card.toml"))


def list_ready_baselines() -> list[str]:
    """Names of the baselines that run as they are installed, in alphabetical order.

    The others need a weights file that their authors, not this project, made.

    Examples
    --------
    >>> ready = list_ready_baselines()
    >>> "ezvsl" in ready, "avgn" in ready
    (True, False)
    """
    return [name for name in list_baselines() if not load_baseline(name).needs_weights]


def list_plug_ins() -> list[str]:
    """Names of the localizers that installed packages add, in alphabetical order."""
    return sorted(plug_ins())


@dataclass(frozen=True)
class Baseline:
    """A baseline: who it is, how it is made, and its localizers.

    Examples
    --------
    >>> random = load_baseline("random")
    >>> random.card.modality, random.variant().weights
    ('trivial', None)
    >>> random.load(seed=3, options={"resolution": 14}).name
    'random'
    """

    folder: Path  # Where its files are; named as the baseline
    card: Card  # Who it is
    # How it is made, in one or more variants. A method takes None for the default variant.
    recipe: Recipe

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a folder; raises ModelError where its card or its recipe is not valid."""
        card = read_toml(folder / "card.toml", Card, error=ModelError)
        if card.name != folder.name:
            raise ModelError(
                f"the card is named {card.name!r}",
                code="E_CARD_NAME",
                where=folder / "card.toml",
                remedy="give the card the name of its folder",
            )
        return cls(folder, card, read_toml(folder / "recipe.toml", Recipe, error=ModelError))

    @property
    def name(self) -> str:
        """Its name on the command line and in results."""
        return self.folder.name

    @property
    def needs_weights(self) -> bool:
        """Whether its default variant runs only with a weights file that the caller gives."""
        chosen = self.variant()
        own = (chosen.weights, chosen.weights_of, chosen.packaged_weights)
        return bool(chosen.architecture) and own == (None, None, None)

    def variant(self, name: str | None = None) -> Variant:
        """The variant of that name; raises ModelError where there is none."""
        name = name or self.recipe.default_variant
        if name not in self.recipe.variants:
            raise ModelError(
                f"{self.name} has no variant {name!r}",
                code="E_VARIANT_UNKNOWN",
                remedy=one_of(self.recipe.variants, name),
            )
        return self.recipe.variants[name]

    def shipped_weights(self, variant: str | None = None) -> tuple[Path, str | None] | None:
        """File and digest of the weights that ship for a variant; None where none do.

        Where the variant has ``weights_of``, the file is that of the baseline that it names.

        Raises
        ------
        ModelError
            If there is no such variant, or ``weights_of`` names a baseline without weights.
        WeightsError
            If the file is missing.

        Examples
        --------
        >>> load_baseline("ogl-l1").shipped_weights("synth")[0].name
        'synth.safetensors'
        """
        variant = variant or self.recipe.default_variant
        owner = self.variant(variant).weights_of
        if owner is not None:
            lender = load_baseline(owner)
            lent = lender.recipe.variants.get(variant)
            if lent is None or lent.weights is None:
                raise ModelError(
                    f"weights_of names {owner}, which ships no weights for the variant {variant!r}",
                    code="E_WEIGHTS_OF",
                    where=self.folder / "recipe.toml",
                    remedy="name a baseline that ships them",
                )
            return lender.shipped_weights(variant)
        weights = self.variant(variant).weights
        if weights is None:
            return None
        path = self.folder / weights.file
        if not path.is_file():
            raise WeightsError(
                f"the weights of {self.name}, variant {variant!r}, are missing",
                code="E_WEIGHTS_MISSING",
                where=path,
                remedy=f"restore the file, or run 'ssl-bench train --model {self.name}'",
            )
        return path, weights.sha256

    def official_weights(self, variant: str | None = None) -> Path:
        """Fetch the published weights of a variant, or find them in the cache folder.

        Raises
        ------
        ModelError
            If there is no such variant.
        WeightsError
            If the recipe names no address, it does not answer, or the file there is another one.
        """
        published = self.variant(variant).official_weights
        if published is None:
            raise WeightsError(
                f"there is no address to fetch weights of {self.name}, variant "
                f"{variant or self.recipe.default_variant!r}, from",
                code="E_WEIGHTS_ADDRESS",
                remedy=f"give their file; 'ssl-bench models {self.name}' shows where it comes from",
            )
        from ssl_bench.models.downloads import fetch

        return fetch(published)

    def guidance(self, variant: str | None = None, preset: str | None = None) -> ObjectGuidance:
        """How an object prior is mixed in, where the caller chooses nothing else."""
        return self.variant(variant).guidance_of(preset) or self.recipe.object_guided

    def load(
        self,
        variant: str | None = None,
        *,
        weights: Path | None = None,
        alpha: float | None = None,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> Localizer | AnnotationLocalizer:
        """Make a localizer; arguments and errors are those of :func:`load_localizer`."""
        settings = dict(options or {})
        if alpha is not None:
            return self._guided(variant, weights, alpha, seed, settings)
        for key in (PRIOR, PRIOR_WEIGHTS):
            if key in settings:
                raise ModelError(
                    f"the option {key} belongs to object-guided localization, which was not asked "
                    "for",
                    code="E_PRIOR_UNUSED",
                    remedy="give --ogl or --alpha, or leave the option out",
                )
        chosen = self.variant(variant)
        # A baseline that prepares nothing has no presets, and its class refuses the unknown option.
        preset = settings.pop(PRESET, None) if chosen.preprocessing else None
        path, sha256 = weights, None
        if weights is None:
            path, sha256 = self.shipped_weights(variant) or (None, None)
            if chosen.packaged_weights is not None:
                path, sha256 = chosen.packaged_weights.path(), chosen.packaged_weights.sha256
        elif str(weights) == DOWNLOAD:
            path = self.official_weights(variant)
        assembly = Assembly(
            name=self.name,
            variant=variant or self.recipe.default_variant,
            recipe=self.folder / "recipe.toml",
            architecture=chosen.architecture,
            preprocessing=chosen.preprocessing_of(preset),
            weights=path,
            weights_sha256=sha256,
            seed=seed,
            options=settings,
            weights_at=chosen.weights_at,
        )
        assemble: _Assemble | None = getattr(self.declared(), "assemble", None)
        if assemble is None:
            return self._plain(assembly)
        if weights is None:
            return assemble(assembly)
        return _recognised(assemble, assembly)

    def declared(self) -> Any:
        """The class, or the function, that makes its localizer."""
        home, _, class_name = self.recipe.localizer.partition(":")
        if home.endswith(".py"):
            return load_class(f"{self.folder / home}:{class_name}")
        return getattr(importlib.import_module(home), class_name)

    def _plain(self, assembly: Assembly) -> Localizer | AnnotationLocalizer:
        """A class that takes its options as arguments, as one that is written elsewhere does."""
        path = assembly.weights
        given = {**assembly.options, **({} if path is None else {"weights": path})}
        localizer = instantiate(self.declared(), given, where=str(assembly.recipe))
        localizer.name = self.name
        if localizer.provenance is None:
            localizer.provenance = Provenance(
                self.name,
                variant=assembly.variant,
                preset=localizer.preset if isinstance(localizer, Localizer) else None,
                weights_sha256=None if path is None else sha256_of_file(path),
                options=dict(assembly.options),
            )
        return localizer

    def _guided(
        self,
        variant: str | None,
        weights: Path | None,
        alpha: float,
        seed: int,
        settings: dict[str, Any],
    ) -> Localizer:
        """A localizer mixed with an object prior that sees images resized as it does."""
        named = settings.pop(PRIOR, self.recipe.object_prior)
        if named is None:
            raise ModelError(
                f"{self.name} has no object prior, so alpha means nothing for it",
                code="E_PRIOR_NONE",
                remedy="leave alpha out, or name an audio-blind baseline with the option "
                f"{PRIOR}=NAME",
            )
        prior_weights = settings.pop(PRIOR_WEIGHTS, None)
        upsampling, preset = settings.pop(UPSAMPLING, None), settings.get(PRESET)
        table = self.guidance(variant, preset).model_dump(exclude_none=True)
        if upsampling is not None:
            table["upsampling"] = upsampling
        if named != self.recipe.object_prior:
            # A fixed range is that of one prior; another's maps go from minimum to maximum.
            table = {key: table[key] for key in ("alpha", "upsampling")}
        guidance = checked(ObjectGuidance, table, f"options of {self.name}")
        audio_visual = self.load(variant, weights=weights, seed=seed, options=settings)
        seen = self.variant(variant).preprocessing_of(preset)
        prior = load_baseline(str(named))
        size = self.variant(variant).object_prior_variant or variant or self.recipe.default_variant
        guide = prior._resizing_alike(size, seen, self.name)._as_prior(size, prior_weights)
        return _mixed(audio_visual, guide, alpha, guidance)

    def _resizing_alike(self, variant: str, seen: Mapping[str, Any], seen_by: str) -> Self:
        """The same prior, with images resized as by the model that it guides.

        A map of the whole image and one of its central square cannot be mixed.
        """
        own = self.variant(variant)
        resize, table = seen.get("image", {}).get("resize"), own.preprocessing
        image = table.get("image", {})
        if resize is not None and image and image.get("resize") != resize:
            preset = f"image of {seen_by}, {seen.get('preset', resize)}"
            table = {**table, "preset": preset, "image": {**image, "resize": resize}}
        alike = own.model_copy(update={"preprocessing": table, "presets": {}})
        variants = {**self.recipe.variants, variant: alike}
        return replace(self, recipe=self.recipe.model_copy(update={"variants": variants}))

    def _as_prior(
        self, variant: str, weights: str | Path | None
    ) -> Localizer | AnnotationLocalizer:
        try:
            return self.load(variant, weights=None if weights is None else Path(weights))
        except WeightsError as error:
            # A file that was given or that ships has a fault of its own, which the error names.
            if error.code != "E_WEIGHTS_NEEDED":
                raise
            raise WeightsError(
                f"object-guided localization needs the weights of {self.name}, variant "
                f"{variant!r}, and none were given",
                code="E_WEIGHTS_NEEDED",
                remedy=f"give the option {PRIOR_WEIGHTS}=FILE, or leave alpha out",
            ) from None


def _mixed(
    audio_visual: Localizer | AnnotationLocalizer,
    guide: Localizer | AnnotationLocalizer,
    alpha: float,
    guidance: ObjectGuidance,
) -> Localizer:
    if not isinstance(audio_visual, Localizer) or not isinstance(guide, Localizer):
        raise ModelError(
            f"{audio_visual.name} and {guide.name} cannot be mixed: one of them does not look at "
            "images",
            code="E_PRIOR_KIND",
            remedy="mix a model that listens with an audio-blind one such as ogl-l1",
        )
    from ssl_bench.models.object_guided import ObjectGuided

    return ObjectGuided(audio_visual, guide, alpha, guidance)


def with_object_prior(
    localizer: Localizer | AnnotationLocalizer,
    alpha: float,
    settings: Mapping[str, Any] | None = None,
) -> Localizer:
    """A localizer that is written elsewhere, mixed with an object prior as EZ-VSL is.

    Parameters
    ----------
    localizer
        The model. Where it says how it resizes images (``image_input``, as what
        :func:`ssl_bench.wrap` makes does), the prior sees them resized alike; else as a whole.
    alpha
        Weight of the audio-visual map, in [0, 1].
    settings
        ``prior`` (an audio-blind baseline; ``ogl-l1``), ``prior_variant`` (``full`` where weights
        are given and there is such a one, else that which ships), ``prior_weights`` (a file, or
        ``download``) and ``ogl_upsampling``, as in :func:`load_localizer`.

    Raises
    ------
    ModelError
        If the two cannot be mixed, or a setting is unknown.
    WeightsError
        If the prior's weights are missing or unusable.

    Examples
    --------
    >>> with_object_prior(load_localizer("ezvsl"), 0.4).name
    'ezvsl+ogl-l1'
    """
    given = dict(settings or {})
    prior = load_baseline(str(given.pop(PRIOR, _USUAL_PRIOR)))
    weights = given.pop(PRIOR_WEIGHTS, None)
    usual = "full" if weights is not None and "full" in prior.recipe.variants else None
    variant = given.pop(PRIOR_VARIANT, usual) or prior.recipe.default_variant
    where = f"options of {localizer.name}"
    table = {"upsampling": given.pop(UPSAMPLING)} if UPSAMPLING in given else {}
    guidance = checked(ObjectGuidance, table, where)
    checked(NoOptions, given, where)
    prior.variant(variant)
    resized = getattr(localizer, "image_input", None)
    seen = {} if resized is None else {"image": resized.model_dump()}
    alike = prior._resizing_alike(variant, seen, localizer.name)
    return _mixed(localizer, alike._as_prior(variant, weights), alpha, guidance)


def load_baseline(name: str) -> Baseline:
    """Read the baseline of that name.

    Raises
    ------
    ModelError
        If there is none, or its card or its recipe is not valid.
    """
    every = content_folder("baselines")
    folder = every / name
    # A board asks for baselines thousands of times.
    names = {each.name for each in every.iterdir()}
    if name not in names or not (folder / "card.toml").is_file():
        known = [*list_baselines(), *list_plug_ins()]
        raise ModelError(
            f"no localizer is called {name!r}",
            code="E_MODEL_UNKNOWN",
            remedy=f"{one_of(known, name)}; or path/to/file.py:NAME",
        )
    files = (folder / "card.toml", folder / "recipe.toml")
    return _read(folder, tuple(file.stat().st_mtime_ns for file in files if file.is_file()))


@lru_cache(maxsize=64)
def _read(folder: Path, changed: tuple[int, ...]) -> Baseline:
    del changed  # part of the key alone: a file that is edited is read again
    return Baseline.read(folder)


@checked_arguments
def load_localizer(
    name: str,
    *,
    variant: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    alpha: float | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Localizer | AnnotationLocalizer:
    """Load a localizer by name.

    Parameters
    ----------
    name
        A baseline, a plug-in, or a model in a file as ``path/to/file.py:NAME``: a class, an object,
        or a function that returns one.
    variant
        Variant of a baseline; None for its default one.
    weights
        Weights file; None for the ones that ship with the baseline, ``download`` for the ones that
        its authors publish. A class or function from elsewhere is given it as the argument
        ``weights``.
    alpha
        Weight of the audio-visual map in object-guided localization with the baseline's object
        prior, or with ``ogl-l1`` of a model from elsewhere; None for the audio-visual map alone.
    seed
        For a random baseline.
    options
        Further settings of the model. ``preset`` names one of its preprocessing presets. With
        `alpha` also ``prior`` (an audio-blind baseline, in place of the model's own object prior)
        and ``prior_weights`` (its weights file) and ``ogl_upsampling`` (in place of the one that
        the recipe names); the prior sees images resized as the model does. A class or function from
        elsewhere is given all others as arguments; of its prior, ``prior_variant`` may be chosen,
        too (see :func:`with_object_prior`).

    Raises
    ------
    ModelError
        If the name, the variant or an option is unknown, or the class breaks the contract.
    WeightsError
        If weights are missing, damaged or belong to another network.

    Examples
    --------
    >>> load_localizer("random", seed=3, options={"resolution": 14}).name
    'random'
    """
    file = None if weights is None else Path(weights)
    if not _is_address(name) and (name in list_baselines() or name not in plug_ins()):
        baseline = load_baseline(name)
        with extra_needed(f"the model {name}", common="models"):
            return baseline.load(variant, weights=file, alpha=alpha, seed=seed, options=options)
    if variant is not None:
        raise ModelError(
            f"{name} comes from elsewhere, and has no variant that this project knows",
            code="E_MODEL_EXTERNAL",
            remedy="pass its settings as options; the variant of its object prior is the option "
            f"{PRIOR_VARIANT}",
        )
    settings = dict(options or {})
    of_prior = (PRIOR, PRIOR_VARIANT, PRIOR_WEIGHTS, UPSAMPLING) if alpha is not None else ()
    guiding = {key: settings.pop(key) for key in of_prior if key in settings}
    declared = load_class(name) if _is_address(name) else load_plug_in(name)
    taken = {} if file is None else {"weights": file}
    localizer = instantiate(declared, {**settings, **taken}, where=name)
    if localizer.provenance is not None:
        localizer.provenance = _completed(localizer.provenance, settings, file)
    if alpha is None:
        return localizer
    with extra_needed("object-guided localization"):
        return with_object_prior(localizer, alpha, guiding)


def _is_address(name: str) -> bool:
    """Whether a model is named as something in a file."""
    return ":" in name or name.endswith(".py")


def _completed(
    provenance: Provenance, options: Mapping[str, Any], weights: Path | None
) -> Provenance:
    """What a class from elsewhere says of itself, and what it was made with.

    Otherwise two localizers that were made with different options would pass for one.
    """
    given = {
        key: value if isinstance(value, str | int | float | None) else repr(value)
        for key, value in options.items()
    }
    changes: dict[str, Any] = {"options": {**provenance.options, **given}}
    if weights is not None and weights.is_file():
        changes["weights_sha256"] = sha256_of_file(weights)
    return provenance.model_copy(update=changes)


def default_alpha(name: str, variant: str | None = None, preset: str | None = None) -> float:
    """Weight of the audio-visual map in object-guided localization, where the caller gives none.

    Examples
    --------
    >>> default_alpha("slavc", "full"), default_alpha("slavc", "full", "sslalign")
    (0.9, 0.4)
    """
    if name not in list_baselines():
        return ObjectGuidance().alpha
    return load_baseline(name).guidance(variant, preset).alpha


def _recognised(assemble: _Assemble, assembly: Assembly) -> Localizer | AnnotationLocalizer:
    """Build a baseline from a user's weights file; a misfit names the model that it may be for."""
    from ssl_bench.models.checkpoints import MisfitError
    from ssl_bench.models.lookalikes import named, refuse_larger, remarks

    name = assembly.name
    known_by = {each: load_baseline(each).recipe.recognised_by for each in list_baselines()}
    try:
        localizer = assemble(assembly)
    except MisfitError as misfit:
        raise named(misfit, name, known_by) from None
    provenance = localizer.provenance
    if provenance is None or provenance.weights is None:
        return localizer
    weights = provenance.weights
    refuse_larger(weights, name, known_by, str(assembly.weights))
    unused = getattr(type(localizer), "unused", ())
    together = (*weights.remarks, *remarks(weights, name, known_by, unused))
    weights = weights.model_copy(update={"remarks": together})
    localizer.provenance = provenance.model_copy(update={"weights": weights})
    return localizer
