"""The files of a user's clips: which there are, and whether they are usable."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ssl_bench.errors import DataError
from ssl_bench.media.audio import AUDIO_SUFFIXES, probe_audio
from ssl_bench.media.image import IMAGE_SUFFIXES, probe_image
from ssl_bench.testsets.folder import AUDIO, FRAMES
from ssl_bench.training.clips import Clip
from ssl_bench.training.given_truth import GivenTruth
from ssl_bench.training.progress import Progress, counted
from ssl_bench.training.sources import Needs

_READERS = 8
_TOLD_EVERY = 100


@dataclass(frozen=True)
class ClipFiles:
    """What there is of the clips of a folder.

    Attributes
    ----------
    images, sounds
        Files by clip.
    needs
        What of it the objective reads.
    truth, labels
        Where clips sound and what is seen in them, where that is needed.
    """

    images: Mapping[str, Path]
    sounds: Mapping[str, Path]
    needs: Needs
    truth: GivenTruth | None
    labels: Mapping[str, str] | None

    @property
    def wanted(self) -> str:
        """What a clip must have, in words."""
        parts = {"sound": self.needs.sounds, "truth": self.needs.truth, "label": self.needs.labels}
        *others, last = ["image", *(name for name, needed in parts.items() if needed)]
        return f"{', '.join(others)} or {last}" if others else last

    def look(self, name: str) -> Clip | str:
        """Open all files of one clip; gives the clip, or what is wrong with it."""
        image, sound = self.images.get(name), self.sounds.get(name)
        absent = {
            "image": image is None,
            "sound": self.needs.sounds and sound is None,
            "label": self.labels is not None and name not in self.labels,
        }
        if any(absent.values()) or image is None:
            return f"no {' and no '.join(kind for kind, lacks in absent.items() if lacks)}"
        try:
            probe_image(image)
            if sound is not None:
                probe_audio(sound)
            if self.truth is not None:
                self.truth.check(name)
        except DataError as error:
            return f"{error.where}: {error.problem}" if error.where else error.problem
        return Clip(name, image, sound)


def usable_clips(
    names: Sequence[str], files: ClipFiles, progress: Progress | None
) -> tuple[list[Clip], dict[str, str]]:
    """Clips that have all that is needed, and what is wrong with the others."""
    tell = counted("looking at clips", progress)
    clips: list[Clip] = []
    problems: dict[str, str] = {}
    with ThreadPoolExecutor(_READERS) as readers:
        for number, (name, found) in enumerate(
            zip(names, readers.map(files.look, names), strict=True), 1
        ):
            if isinstance(found, Clip):
                clips.append(found)
            else:
                problems[name] = found
            if tell is not None and (number % _TOLD_EVERY == 0 or number == len(names)):
                tell(number, len(names))
    return clips, problems


def find_images(folder: Path) -> dict[str, Path]:
    """Image of each clip: a file, or the middle one of a folder of frames.

    Raises DataError where the folder cannot be read.
    """
    found = _files(folder, IMAGE_SUFFIXES)
    for entry in os.scandir(folder):
        if entry.is_dir() and entry.name not in found:
            frames = sorted(_files(Path(entry.path), IMAGE_SUFFIXES).values())
            if frames:
                found[entry.name] = frames[len(frames) // 2]
    return found


def find_sounds(folder: Path) -> dict[str, Path]:
    """Sound of each clip; raises DataError where the folder cannot be read."""
    return _files(folder, AUDIO_SUFFIXES)


def _files(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """Files by name without ending; of several endings the first in `suffixes` counts."""
    order = {suffix: place for place, suffix in enumerate(suffixes)}
    found: dict[str, tuple[int, Path]] = {}
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(
            f"this folder cannot be read ({error.strerror})",
            where=folder,
            remedy=f"training needs {FRAMES}/ and, for models that hear, {AUDIO}/ in one folder",
        ) from None
    for entry in entries:
        path = Path(entry.path)
        place = order.get(path.suffix)
        if place is not None and (path.stem not in found or place < found[path.stem][0]):
            found[path.stem] = (place, path)
    return {stem: path for stem, (_, path) in found.items()}
