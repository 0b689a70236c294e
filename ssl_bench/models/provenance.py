"""Which localizer made a map: what a result document says about its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from ssl_bench.models.contract import AnnotationLocalizer, Localizer

_SHOWN = 3


def counted(name: str, keys: Sequence[str]) -> str:
    """How many keys there are of a kind, and the first few of them.

    Examples
    --------
    >>> counted("missing", ["a", "b", "c", "d"])
    '4 missing (a, b, c, ...)'
    """
    shown = ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
    return f"{len(keys)} {name} ({shown})"


@dataclass(frozen=True)
class RecognisedWeights:
    """What a weights file turned out to be.

    Attributes
    ----------
    container
        Kind of file, and where it keeps the weights.
    entries
        Number of its weights that the network took.
    prefixes_removed
        What was removed from keys.
    ignored
        Keys of weights that it holds and the network does not use.
    fields
        Plain values beside the weights, such as ``epoch`` and ``best_cIoU``.
    remarks
        What its keys cannot tell, as sentences.
    """

    container: str
    entries: int
    prefixes_removed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    fields: tuple[tuple[str, int | float | str], ...] = ()
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for people.

        Examples
        --------
        >>> print(RecognisedWeights("torch state dict", 2, ("module.",), fields=(("epoch", 20),)))
        torch state dict, 2 entries; 'module.' removed from keys; epoch 20
        """
        parts = [f"{self.container}, {self.entries} entries"]
        if self.prefixes_removed:
            removed = " and ".join(repr(prefix) for prefix in self.prefixes_removed)
            parts.append(f"{removed} removed from keys")
        if self.ignored:
            parts.append(counted("not used", self.ignored))
        if self.fields:
            parts.append(", ".join(f"{name} {value}" for name, value in self.fields))
        return "; ".join([*parts, *self.remarks])

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """What :meth:`as_dict` gave.

        Examples
        --------
        >>> weights = RecognisedWeights("safetensors", 2, fields=(("epoch", 20),))
        >>> RecognisedWeights.from_dict(weights.as_dict()) == weights
        True
        """
        return cls(
            container=content["container"],
            entries=content["entries"],
            prefixes_removed=tuple(content["prefixes_removed"]),
            ignored=tuple(content["ignored"]),
            fields=tuple(content["fields"].items()),
            remarks=tuple(content["remarks"]),
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON-able dictionary."""
        return {
            "container": self.container,
            "entries": self.entries,
            "prefixes_removed": list(self.prefixes_removed),
            "ignored": list(self.ignored),
            "fields": dict(self.fields),
            "remarks": list(self.remarks),
        }


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
    weights
        What the weights file turned out to be.
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
    weights: RecognisedWeights | None = None
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
            "weights": None if self.weights is None else self.weights.as_dict(),
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
        JSON-able: ``name``, ``variant``, ``preset``, ``weights_sha256``, ``weights``, ``alpha``,
        ``seed``, ``options`` and ``parts`` (the same for each localizer that it is made of).
    """
    return provenance_of(localizer).as_dict()
