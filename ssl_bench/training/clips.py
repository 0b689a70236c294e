"""A user's clips as training examples, whose files are read when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.media.audio import read_audio
from ssl_bench.media.image import read_image
from ssl_bench.media.waveform import Waveform
from ssl_bench.training.given_truth import GivenTruth
from ssl_bench.training.sources import SoundFrontEnd


@dataclass(frozen=True)
class Clip:
    """One clip of a folder.

    Attributes
    ----------
    id
        Its name in the list.
    image, sound
        Its two files; no sound where the model never hears.
    """

    id: str
    image: Path
    sound: Path | None = None


@dataclass(frozen=True, eq=False)
class FolderScenes:
    """Clips, perhaps with where they sound.

    Attributes
    ----------
    clips
        The clips.
    front_end
        The model's front end for sounds.
    given_truth
        Where the clips sound; None where nobody said so.
    """

    clips: tuple[Clip, ...]
    front_end: SoundFrontEnd
    given_truth: GivenTruth | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Identifier of each clip."""
        return tuple(clip.id for clip in self.clips)

    @property
    def categories(self) -> NDArray[np.int64]:
        """-1 for each clip: nothing is known."""
        return np.full(len(self.clips), -1, np.int64)

    @property
    def has_truth(self) -> bool:
        """Whether it is known where the clips sound."""
        return self.given_truth is not None

    @property
    def digest(self) -> str:
        """SHA-256 over identifiers, names and sizes of the files, not their content, and truth."""
        truth = self.given_truth
        notes = () if truth is None else (truth.fingerprint(clip.id) for clip in self.clips)
        return _digest(self.clips, notes)

    def image(self, row: int) -> NDArray[np.uint8]:
        """The image of one clip, ``(height, width, 3)`` uint8 RGB."""
        return read_image(self.clips[row].image)

    def sound(self, row: int, shift: float = 0.0) -> NDArray[np.float32]:
        """The sound of one clip as the front end gives it, ``(C, F, T)`` float32.

        The whole clip is rolled by `shift` before the front end takes its part of it. Raises
        DataError where the clips were opened without their sounds.
        """
        path = self.clips[row].sound
        if path is None:
            raise DataError("this clip was opened without its sound", where=self.clips[row].id)
        heard = read_audio(path)
        moved = round(shift * len(heard.samples))
        if moved:
            heard = Waveform(np.roll(heard.samples, moved, axis=0), heard.rate)
        try:
            return self.front_end(heard)
        except DataError as error:
            raise DataError(error.problem, where=path, remedy=error.remedy) from None

    def truth(self, row: int) -> NDArray[np.float32]:
        """Where one clip sounds, ``(224, 224)`` float32 in [0, 1]; DataError if unknown."""
        if self.given_truth is None:
            raise DataError("where this clip sounds is not known", where=self.clips[row].id)
        return self.given_truth.map(self.clips[row].id)


@dataclass(frozen=True, eq=False)
class FolderPictures:
    """The images of clips, with labels.

    Attributes
    ----------
    clips
        The clips.
    labels
        ``(N,)`` int64, number of each clip's class.
    """

    clips: tuple[Clip, ...]
    labels: NDArray[np.int64]

    @property
    def ids(self) -> tuple[str, ...]:
        """Identifier of each clip."""
        return tuple(clip.id for clip in self.clips)

    @property
    def digest(self) -> str:
        """SHA-256 over identifiers, names and sizes of the files, not their content, and labels."""
        return _digest(self.clips, (str(label) for label in self.labels))

    def image(self, row: int) -> NDArray[np.uint8]:
        """The image of one clip, ``(height, width, 3)`` uint8 RGB."""
        return read_image(self.clips[row].image)


def _digest(clips: tuple[Clip, ...], notes: Iterable[str]) -> str:
    sha = hashlib.sha256()
    for clip in clips:
        for path in (clip.image, clip.sound):
            if path is not None:
                sha.update(f"{clip.id}\t{path.name}\t{path.stat().st_size}\n".encode())
    for note in notes:
        sha.update(f"{note}\n".encode())
    return sha.hexdigest()
