"""Training on a user's own clips: ``frames/`` and ``audio/``, read while training goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.audit import read_training_list, video_of
from ssl_bench.errors import DataError
from ssl_bench.media.audio import AUDIO_SUFFIXES, probe_audio, read_audio
from ssl_bench.media.image import IMAGE_SUFFIXES, probe_image, read_image
from ssl_bench.media.waveform import Waveform
from ssl_bench.testsets.folder import AUDIO, FRAMES
from ssl_bench.training.held_out import HeldOut, overlap, refuse_overlap
from ssl_bench.training.progress import Progress, counted
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.sources import AudioVisualSource, LabelledSource, SoundFrontEnd

_HEADING = "id"
_HOLD_OUT = 5
# Fewer would always be retrieved rightly.
_FEWEST_HELD_OUT = 2
_SHOWN = 50
_READERS = 8
_TOLD_EVERY = 100


@dataclass(frozen=True)
class Clip:
    """One clip of a folder.

    Attributes
    ----------
    id
        Its name in the list.
    image, sound
        Its two files.
    """

    id: str
    image: Path
    sound: Path


@dataclass(frozen=True, eq=False)
class FolderScenes:
    """Clips whose images and sounds are read when they are asked for.

    Attributes
    ----------
    clips
        The clips.
    front_end
        The model's front end for sounds.
    """

    clips: tuple[Clip, ...]
    front_end: SoundFrontEnd

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
        """Never."""
        return False

    @property
    def digest(self) -> str:
        """SHA-256 over identifiers, and over names and sizes of the files, not their content."""
        sha = hashlib.sha256()
        for clip in self.clips:
            for path in (clip.image, clip.sound):
                sha.update(f"{clip.id}\t{path.name}\t{path.stat().st_size}\n".encode())
        return sha.hexdigest()

    def image(self, row: int) -> NDArray[np.uint8]:
        """The image of one clip, ``(height, width, 3)`` uint8 RGB."""
        return read_image(self.clips[row].image)

    def sound(self, row: int, shift: float = 0.0) -> NDArray[np.float32]:
        """The sound of one clip as the front end gives it, ``(C, F, T)`` float32.

        The whole clip is rolled by `shift` before the front end takes its part of it.
        """
        path = self.clips[row].sound
        heard = read_audio(path)
        moved = round(shift * len(heard.samples))
        if moved:
            heard = Waveform(np.roll(heard.samples, moved, axis=0), heard.rate)
        try:
            return self.front_end(heard)
        except DataError as error:
            raise DataError(error.problem, where=path, remedy=error.remedy) from None

    def truth(self, row: int) -> NDArray[np.float32]:
        """Raise DataError: where a clip sounds is not known."""
        raise DataError("where this clip sounds is not known", where=self.clips[row].id)


@dataclass(frozen=True)
class UserFolder:
    """A user's clips as training data.

    Attributes
    ----------
    folder
        Where they are.
    clips
        Those with a usable image and a usable sound.
    left_out
        Number of clips that were left out because a file is missing or unusable.
    held_out
        Number of clips that were left out because they belong to a test set or share a video with
        one.
    """

    folder: Path
    clips: tuple[Clip, ...]
    left_out: int = 0
    held_out: int = 0

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def version(self) -> None:
        """None: only the embedded world has versions."""
        return

    def scenes(
        self,
        recipe: TrainingRecipe,
        seed: int,
        front_end: SoundFrontEnd,
        progress: Progress | None,
        *,
        truth: bool,
    ) -> tuple[AudioVisualSource, AudioVisualSource]:
        """Clips for training, and some that are held out for validation.

        Whole videos are held out, drawn by `seed`, until they have a tenth of the clips (two at
        least), or as many as the recipe's ``validation_scenes``.

        Raises
        ------
        DataError
            If truth is asked for, or all clips are of one video.
        """
        del progress
        if truth:
            raise DataError(
                "this objective learns from annotated scenes, and a folder of clips has none",
                where=self.folder,
                remedy="train it on synth",
            )
        wanted = min(recipe.validation_scenes, max(_FEWEST_HELD_OUT, len(self.clips) // 10))
        held_out = hold_out([clip.id for clip in self.clips], wanted, seed)
        training = tuple(clip for clip in self.clips if clip.id not in held_out)
        if not training:
            raise DataError(
                "all clips are of one video, so none can be held out for validation",
                where=self.folder,
                remedy="add clips of other videos",
            )
        validation = tuple(clip for clip in self.clips if clip.id in held_out)
        return FolderScenes(training, front_end), FolderScenes(validation, front_end)

    def objects(
        self, recipe: TrainingRecipe, progress: Progress | None
    ) -> tuple[LabelledSource, LabelledSource]:
        """Raise DataError: clips are no labelled pictures of objects."""
        del recipe, progress
        raise DataError(
            "this objective learns from labelled pictures, and a folder of clips has none",
            where=self.folder,
            remedy="train it on synth",
        )


def open_user_folder(
    folder: Path,
    *,
    ids: Path | None = None,
    skip_missing: bool = False,
    held_out: Sequence[HeldOut] = (),
    skip_held_out: bool = False,
    progress: Progress | None = None,
) -> UserFolder:
    """Find a user's clips, and look at every file once.

    An image is ``frames/ID.jpg`` (or another image ending), or the middle file, by name, of the
    folder ``frames/ID``. A sound is ``audio/ID.wav`` (or another sound ending).

    Parameters
    ----------
    folder
        Holds ``frames`` and ``audio``.
    ids
        A list of clips in any form that :func:`~ssl_bench.audit.read_training_list` reads, perhaps
        under a heading ``id``; None for all clips that are there.
    skip_missing
        Whether clips with a missing or unusable file are left out, instead of refused.
    held_out
        Test sets that no clip may belong to.
    skip_held_out
        Whether clips that belong to one, or share a video with it, are left out, instead of
        refused.
    progress
        Told how many clips are looked at.

    Raises
    ------
    DataError
        If there is no such folder, files are missing or unusable (one error names the clips), no
        clip is left, or clips belong to a test set.
    AnnotationError
        If the list is malformed.
    """
    images, sounds = _images(folder / FRAMES), _files(folder / AUDIO, AUDIO_SUFFIXES)
    there = tuple(sorted({*images, *sounds}))
    names = there if ids is None else read_training_list(ids).clips
    if names and names[0] == _HEADING and _HEADING not in there:
        names = names[1:]
    kept_away: set[str] = set()
    for test_set in held_out:
        if not skip_held_out:
            refuse_overlap(names, test_set, where=ids or folder)
        kept_away.update(*overlap(names, test_set))
    names = tuple(name for name in names if name not in kept_away)
    clips, problems = _usable(names, images, sounds, progress)
    if problems and not skip_missing:
        shown = [f"{name}: {problem}" for name, problem in list(problems.items())[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"and {len(problems) - _SHOWN:,} more")
        error = DataError(
            f"{len(problems):,} of {len(names):,} clips lack a usable image or sound",
            where=folder,
            remedy="add the files, take the clips off the list, or leave them out with "
            "--skip-missing",
        )
        error.args = ("\n  - ".join([str(error), *shown]),)
        raise error
    if not clips:
        raise DataError(
            "no clip here has an image and a sound",
            where=folder,
            remedy=f"put images into {FRAMES}/ and sounds of the same names into {AUDIO}/",
        )
    return UserFolder(folder, tuple(clips), len(problems), len(kept_away))


def hold_out(identifiers: Sequence[str], wanted: int, seed: int) -> frozenset[str]:
    """Draw whole videos until at least `wanted` clips are held out.

    Examples
    --------
    >>> clips = [f"{video}_{start:06d}" for video in "abcdef" for start in (0, 10)]
    >>> sorted(hold_out(clips, 3, seed=1))
    ['b_000000', 'b_000010', 'c_000000', 'c_000010']
    """
    of_video: dict[str, list[str]] = {}
    for identifier in sorted(identifiers):
        of_video.setdefault(video_of(identifier), []).append(identifier)
    generator = np.random.default_rng(np.random.SeedSequence([seed, _HOLD_OUT]))
    videos = list(of_video)
    chosen: list[str] = []
    for place in generator.permutation(len(videos)):
        if len(chosen) >= wanted:
            break
        chosen += of_video[videos[place]]
    return frozenset(chosen)


def _usable(
    names: Sequence[str],
    images: Mapping[str, Path],
    sounds: Mapping[str, Path],
    progress: Progress | None,
) -> tuple[list[Clip], dict[str, str]]:
    """Clips with two usable files, and what is wrong with the others."""

    def look(name: str) -> Clip | str:
        image, sound = images.get(name), sounds.get(name)
        if image is None or sound is None:
            absent = [kind for kind, path in (("image", image), ("sound", sound)) if path is None]
            return f"no {' and no '.join(absent)}"
        try:
            probe_image(image)
            probe_audio(sound)
        except DataError as error:
            return f"{error.where}: {error.problem}" if error.where else error.problem
        return Clip(name, image, sound)

    tell = counted("looking at clips", progress)
    clips: list[Clip] = []
    problems: dict[str, str] = {}
    with ThreadPoolExecutor(_READERS) as readers:
        for number, (name, found) in enumerate(
            zip(names, readers.map(look, names), strict=True), 1
        ):
            if isinstance(found, Clip):
                clips.append(found)
            else:
                problems[name] = found
            if tell is not None and (number % _TOLD_EVERY == 0 or number == len(names)):
                tell(number, len(names))
    return clips, problems


def _images(folder: Path) -> dict[str, Path]:
    """Image of each clip: a file, or the middle one of a folder of frames."""
    found = _files(folder, IMAGE_SUFFIXES)
    for entry in os.scandir(folder):
        if entry.is_dir() and entry.name not in found:
            frames = sorted(_files(Path(entry.path), IMAGE_SUFFIXES).values())
            if frames:
                found[entry.name] = frames[len(frames) // 2]
    return found


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
            remedy=f"training needs {FRAMES}/ and {AUDIO}/ in one folder",
        ) from None
    for entry in entries:
        path = Path(entry.path)
        place = order.get(path.suffix)
        if place is not None and (path.stem not in found or place < found[path.stem][0]):
            found[path.stem] = (place, path)
    return {stem: path for stem, (_, path) in found.items()}
