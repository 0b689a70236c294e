"""Which localizer made a map: what a result document says about its model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import Field

from ssl_bench.schemas import Document


def counted(name: str, keys: Sequence[str]) -> str:
    """How many keys there are of a kind, and the first three of them.

    Examples
    --------
    >>> counted("missing", ["a", "b", "c", "d"])
    '4 missing (a, b, c, ...)'
    """
    return f"{len(keys)} {name} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"


class RecognisedWeights(Document):
    """What a weights file turned out to be; as text, one line for people.

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

    Examples
    --------
    >>> print(RecognisedWeights(
    ...     container="torch file", entries=2, prefixes_removed=("module.",), fields={"epoch": 20}
    ... ))
    torch file, 2 entries; 'module.' removed from keys; epoch 20
    """

    container: str
    entries: int
    prefixes_removed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    fields: dict[str, bool | int | float | str] = Field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.container}, {self.entries} entries"]
        if self.prefixes_removed:
            parts.append(f"{' and '.join(map(repr, self.prefixes_removed))} removed from keys")
        if self.ignored:
            parts.append(counted("not used", self.ignored))
        if self.fields:
            parts.append(", ".join(f"{name} {value}" for name, value in self.fields.items()))
        return "; ".join([*parts, *self.remarks])


class Provenance(Document):
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

    Examples
    --------
    >>> Provenance("random", seed=3, options={"resolution": 7}).options
    {'resolution': 7}
    """

    name: str
    variant: str | None = None
    preset: str | None = None
    weights_sha256: str | None = None
    weights: RecognisedWeights | None = None
    alpha: float | None = None
    seed: int | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    parts: tuple[Provenance, ...] = ()

    def __init__(self, name: str, *, options: Any = (), **facts: Any) -> None:
        super().__init__(**{"name": name, "options": dict(options), **facts})


class _Localizer(Protocol):
    name: str
    provenance: Provenance | None


def provenance_of(localizer: _Localizer) -> Provenance:
    """The localizer's own; for one written elsewhere without any, its name and preset."""
    if isinstance(localizer.provenance, Provenance):
        return localizer.provenance
    return Provenance(localizer.name, preset=getattr(localizer, "preset", None))


def describe(localizer: _Localizer) -> dict[str, Any]:
    """The fields of its :class:`Provenance` for a result document, JSON-able."""
    return provenance_of(localizer).model_dump(mode="json")
