"""Which localizer made a map: what a result document says about its model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import Field

from ssl_bench.media.video_input import VideoInput
from ssl_bench.schemas import Document, is_none

_MAX_SHOWN = 10  # plain values of a file

# Of dimensions, channels, blocks and the like: a file must not make a network without end.
_LARGEST = 8192


def counted(name: str, keys: Sequence[str]) -> str:
    """How many keys there are of a kind, and the first three of them.

    Examples
    --------
    >>> counted("missing", ["a", "b", "c", "d"])
    '4 missing (a, b, c, ...)'
    """
    return f"{len(keys)} {name} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"


def stated_origin(fields: Mapping[str, Any]) -> dict[str, str]:
    """What a file of this project's training says of itself, of the texts that travel with it.

    Examples
    --------
    >>> stated_origin({"training": '{"model": "ezvsl", "seed": 0}'}), stated_origin({"epoch": 3})
    ({'model': 'ezvsl'}, {})
    """
    return {name: value for name, value in _stated(fields).items() if isinstance(value, str)}


def stated_architecture(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the architecture in which a file's training differed from its variant.

    They are not checked yet; one with a number that no network of this project has is left out.

    Examples
    --------
    >>> stated_architecture({"training": '{"architecture": {"dimension": 128}}'})
    {'dimension': 128}
    """
    stated = _stated(fields).get("architecture")
    sensible = isinstance(stated, dict) and _largest(stated) <= _LARGEST
    return dict(stated) if isinstance(stated, dict) and sensible else {}


def _stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    try:
        stated = json.loads(str(fields.get("training")))
    except (json.JSONDecodeError, RecursionError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _largest(content: Any) -> float:
    """The largest number in nested tables and lists."""
    if isinstance(content, dict | list):
        inner = content.values() if isinstance(content, dict) else content
        return max(map(_largest, inner), default=0)
    return content if isinstance(content, int | float) else 0


class RecognisedWeights(Document):
    """What a weights file turned out to be; as text, one line for people.

    Examples
    --------
    >>> print(RecognisedWeights(
    ...     container="torch file", entries=2, prefixes_removed=("module.",), fields={"epoch": 20}
    ... ))
    torch file, 2 entries; 'module.' removed from keys; epoch 20
    """

    container: str  # Kind of file, and where it keeps the weights
    entries: int  # Number of its weights that the network took
    prefixes_removed: tuple[str, ...] = ()  # What was removed from keys
    ignored: tuple[str, ...] = ()  # Keys of weights that it holds and the network does not use
    # Plain values beside the weights, such as ``epoch`` and ``best_cIoU``.
    fields: dict[str, bool | int | float | str] = Field(default_factory=dict)
    remarks: tuple[str, ...] = ()  # What its keys cannot tell, as sentences

    def __str__(self) -> str:
        parts = [f"{self.container}, {self.entries} entries"]
        if self.prefixes_removed:
            parts.append(f"{' and '.join(map(repr, self.prefixes_removed))} removed from keys")
        if self.ignored:
            parts.append(counted("not used", self.ignored))
        if self.fields:
            shown = [f"{name} {value}" for name, value in self.fields.items()]
            more = [f"and {len(shown) - _MAX_SHOWN} more"] if len(shown) > _MAX_SHOWN else []
            parts.append(", ".join([*shown[:_MAX_SHOWN], *more]))
        return "; ".join([*parts, *self.remarks])


class Provenance(Document):
    """Everything that identifies a localizer.

    Examples
    --------
    >>> Provenance("random", seed=3, options={"resolution": 7}).options
    {'resolution': 7}
    """

    name: str  # Name of the model
    # Variant of its recipe; None for a localizer that no recipe of this project made.
    variant: str | None = None
    preset: str | None = None  # Preprocessing preset
    weights_sha256: str | None = None  # Digest of the weights file
    weights: RecognisedWeights | None = None  # What the weights file turned out to be
    alpha: float | None = None  # Weight of the audio-visual map, where an object prior is mixed in
    seed: int | None = None  # Of a random localizer
    # Settings that change the maps, with their values.
    options: dict[str, Any] = Field(default_factory=dict)
    parts: tuple[Provenance, ...] = ()  # The localizers that this one is made of
    # device, precision: Where and how its networks computed, such as ``cuda (NVIDIA H200)`` and
    # ``bf16``. What is None, the processor and 32 bits, is left out of documents.
    device: str | None = Field(default=None, exclude_if=is_none)
    precision: str | None = Field(default=None, exclude_if=is_none)
    # The frames that it looks at in place of pictures, in words; left out for pictures.
    video: str | None = Field(default=None, exclude_if=is_none)

    def __init__(self, name: str, *, options: Any = (), **facts: Any) -> None:
        super().__init__(**{"name": name, "options": dict(options), **facts})


class _Localizer(Protocol):
    name: str
    provenance: Provenance | None


def provenance_of(localizer: _Localizer) -> Provenance:
    """The localizer's own; for one written elsewhere without any, its name and preset."""
    found = localizer.provenance
    if not isinstance(found, Provenance):
        found = Provenance(localizer.name, preset=getattr(localizer, "preset", None))
    video: VideoInput | None = getattr(localizer, "video_input", None)
    return found if video is None else found.model_copy(update={"video": video.described()})


def describe(localizer: _Localizer) -> dict[str, Any]:
    """The fields of its :class:`Provenance` for a result document, JSON-able."""
    return provenance_of(localizer).model_dump(mode="json")
