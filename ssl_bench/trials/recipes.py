"""What a trial's picture and sound are made of.

Recipes are small hashable values that say which samples an image or a sound is made of. Equal
recipes are the same image or the same sound, so each is rendered and encoded once however many
trials use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ssl_bench.media.video_input import VideoInput
from ssl_bench.testsets.base import Sample


class Placement(NamedTuple):
    """A rectangle of the picture, in fractions of its height and width (end-exclusive)."""

    top: float
    left: float
    bottom: float
    right: float

    def on_grid(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the rectangle on a grid."""
        return (
            slice(int(height * self.top), int(height * self.bottom)),
            slice(int(width * self.left), int(width * self.right)),
        )


WHOLE = Placement(0.0, 0.0, 1.0, 1.0)
LEFT = Placement(0.0, 0.0, 1.0, 0.5)
RIGHT = Placement(0.0, 0.5, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """A picture made of samples' images: pairs of sample id and the placement it is squeezed to."""

    parts: tuple[tuple[str, Placement], ...]

    @classmethod
    def of(cls, sample: str) -> ImageRecipe:
        """The whole image of one sample."""
        return cls(((sample, WHOLE),))

    @property
    def key(self) -> str:
        """Identity as text: the sample ids, in the order of their placements."""
        return " | ".join(sample for sample, _ in self.parts)


@dataclass(frozen=True, slots=True)
class VideoRecipe:
    """Frames around a picture, each placed as the picture's parts are."""

    parts: tuple[tuple[str, Placement], ...]
    video: VideoInput

    @property
    def key(self) -> str:
        """Identity as text: that of the picture."""
        return ImageRecipe(self.parts).key


@dataclass(frozen=True, slots=True)
class AudioRecipe:
    """The sounds of samples, mixed; or silence or seeded noise as long as one sample's sound."""

    samples: tuple[str, ...]
    kind: Literal["sounds", "silence", "noise"] = "sounds"
    seed: int = 0

    @classmethod
    def of(cls, sample: str) -> AudioRecipe:
        """The sound of one sample."""
        return cls((sample,))

    @property
    def key(self) -> str:
        """Identity as text."""
        if self.kind == "sounds":
            return " + ".join(self.samples)
        number = f" {self.seed}" if self.kind == "noise" else ""
        return f"{self.kind}{number} like {self.samples[0]}"


class Target(NamedTuple):
    """What sounds in the picture: a sample's annotation, and the place where its image stands."""

    sample: str
    placement: Placement


def shared_pictures(samples: Iterable[Sample]) -> dict[str, str]:
    """Which sample's image each sample shows: the first, by id, of those with one ``image``.

    Samples of the same picture have an equal attribute ``image``; a sample without it shows its
    own.

    Examples
    --------
    >>> from ssl_bench.testsets import open_test_set
    >>> samples = open_test_set("synth", "interactive", options={"count": 4}).samples
    >>> list(shared_pictures(samples).values())
    ['interactive-000000', 'interactive-000000', 'interactive-000002', 'interactive-000002']
    """
    first: dict[str, str] = {}
    names = {sample.id: str(sample.attributes.get("image", "")) for sample in samples}
    for identifier in sorted(names):
        first.setdefault(names[identifier], identifier)
    return {identifier: first[name] if name else identifier for identifier, name in names.items()}
