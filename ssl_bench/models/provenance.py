"""Which localizer made a map: what a result document says about its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ssl_bench.models.contract import AnnotationLocalizer, Localizer


@dataclass(frozen=True)
class Provenance:
    """Everything that identifies a localizer.

    Attributes
    ----------
    name
        Name of the model.
    variant
        Variant of its recipe; None for a localizer that no recipe of this project made.
    preset
        Preprocessing preset.
    weights_sha256
        Digest of the weights file.
    alpha
        Weight of the audio-visual map, where an object prior is mixed in.
    seed
        Of a random localizer.
    options
        Settings that change the maps, with their values.
    parts
        The localizers that this one is made of.
    """

    name: str
    variant: str | None = None
    preset: str | None = None
    weights_sha256: str | None = None
    alpha: float | None = None
    seed: int | None = None
    options: tuple[tuple[str, Any], ...] = ()
    parts: tuple[Provenance, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON-able dictionary.

        Examples
        --------
        >>> Provenance("random", seed=3, options=(("resolution", 7),)).as_dict()["options"]
        {'resolution': 7}
        """
        return {
            "name": self.name,
            "variant": self.variant,
            "preset": self.preset,
            "weights_sha256": self.weights_sha256,
            "alpha": self.alpha,
            "seed": self.seed,
            "options": dict(self.options),
            "parts": [part.as_dict() for part in self.parts],
        }


@runtime_checkable
class HasProvenance(Protocol):
    """A localizer that knows where it comes from."""

    provenance: Provenance


def provenance_of(localizer: Localizer | AnnotationLocalizer) -> Provenance:
    """What a localizer says about itself; for one written elsewhere, name and preset."""
    if isinstance(localizer, HasProvenance):
        return localizer.provenance
    preset = localizer.preset if isinstance(localizer, Localizer) else None
    return Provenance(localizer.name, preset=preset)


def describe(localizer: Localizer | AnnotationLocalizer) -> dict[str, Any]:
    """Describe a localizer for a result document.

    Returns
    -------
    dict
        JSON-able: ``name``, ``variant``, ``preset``, ``weights_sha256``, ``alpha``, ``seed``,
        ``options`` and ``parts`` (the same for each localizer that it is made of).
    """
    return provenance_of(localizer).as_dict()
