"""One question that a protocol puts to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ssl_bench.testsets.base import Sample
from ssl_bench.trials.recipes import WHOLE, AudioRecipe, ImageRecipe, Target


@dataclass(frozen=True, slots=True)
class Trial:
    """One question to a model.

    Attributes
    ----------
    targets
        What sounds in the picture; none where nothing in it does.
    group
        Trials of one group are not independent (the source video).
    category
        What makes the sound that is played.
    role
        Kind of trial, where a protocol mixes several (``silence``, ``off-screen``).
    twins
        Ids of trials with the same picture and another sound.
    attributes
        Further facts for breakdowns (JSON-able).
    asked
        The category whose source is asked for, if that is the question; else None.
    """

    id: str
    image: ImageRecipe
    audio: AudioRecipe
    targets: tuple[Target, ...]
    group: str
    category: str
    role: str = "sounding"
    twins: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    asked: str | None = None

    @classmethod
    def of(cls, sample: Sample, **changes: Any) -> Trial:
        """The trial of one sample's own image, sound and annotation, with other fields changed.

        Examples
        --------
        >>> from ssl_bench.testsets import open_test_set
        >>> sample = open_test_set("synth", options={"count": 1}).samples[0]
        >>> Trial.of(sample, role="silent", targets=()).image == ImageRecipe.of(sample.id)
        True
        """
        own = cls(
            id=sample.id,
            image=ImageRecipe.of(sample.id),
            audio=AudioRecipe.of(sample.sound),
            targets=(Target(sample.id, WHOLE),),
            group=sample.group,
            category=sample.category,
            attributes=dict(sample.attributes),
        )
        return replace(own, **changes)

    @property
    def sounding(self) -> bool:
        """Whether anything in the picture makes the sound."""
        return bool(self.targets)
