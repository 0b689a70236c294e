"""Training on a user's own clips: ``frames/`` and ``audio/``, read while training goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ssl_bench.errors import DataError
from ssl_bench.testsets.audit import read_clip_labels, read_training_list
from ssl_bench.testsets.folder import AUDIO, FRAMES
from ssl_bench.testsets.identifiers import video_of
from ssl_bench.training.clip_files import ClipFiles, find_images, find_sounds, usable_clips
from ssl_bench.training.clips import Clip, FolderPictures, FolderScenes
from ssl_bench.training.given_truth import HOW_TO_GIVE_TRUTH, GivenTruth
from ssl_bench.training.held_out import HeldOut, overlap, refuse_overlap
from ssl_bench.training.progress import Progress
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.sources import AudioVisualSource, LabelledSource, Needs, SoundFrontEnd

HOW_TO_GIVE_LABELS = "give --ids LIST.csv with lines like ID,LABEL"
"""What to do where an objective needs labels and there are none."""

_AUDIO_VISUAL = Needs()
_HEADING = "id"
_HOLD_OUT = 5
# Fewer would always be retrieved rightly.
_FEWEST_HELD_OUT = 2
_SHOWN = 50


@dataclass(frozen=True)
class UserFolder:
    """A user's clips as training data.

    Attributes
    ----------
    folder
        Where they are.
    clips
        Those with a usable image, and a usable sound where one is needed.
    left_out
        Number of clips that were left out because a file is missing or unusable.
    held_out
        Number of clips that were left out because they belong to a test set or share a video with
        one.
    checked_against
        Names of the test sets and lists that no clip may belong to.
    truth
        Where the clips sound, if it was given.
    labels
        What is seen in each clip, by id, if it was given.
    """

    folder: Path
    clips: tuple[Clip, ...]
    left_out: int = 0
    held_out: int = 0
    checked_against: tuple[str, ...] = ()
    truth: GivenTruth | None = None
    labels: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def version(self) -> None:
        """None: only the embedded world has versions."""
        return

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The labels in alphabetical order; None where there are none."""
        if self.labels is None:
            return None
        return tuple(sorted({self.labels[clip.id] for clip in self.clips}))

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
            If truth is asked for and was not given, or all clips are of one video.
        """
        del progress
        if truth:
            self._require(Needs(truth=True))
        training, validation = self._split(recipe, seed)
        given = self.truth if truth else None
        return (
            FolderScenes(training, front_end, given),
            FolderScenes(validation, front_end, given),
        )

    def objects(
        self, recipe: TrainingRecipe, seed: int, progress: Progress | None
    ) -> tuple[LabelledSource, LabelledSource]:
        """Images with labels for training, and some that are held out as in :meth:`scenes`.

        Raises
        ------
        DataError
            If labels were not given, all are the same, or all clips are of one video.
        """
        del progress
        self._require(Needs(labels=True))
        labels, classes = self.labels or {}, self.classes or ()
        if len(classes) < 2:
            raise DataError(
                f"all clips have the label {classes[0]!r}, so there is nothing to tell apart",
                where=self.folder,
                remedy="add clips of other classes",
            )
        number = {name: place for place, name in enumerate(classes)}
        training, validation = (
            FolderPictures(part, np.array([number[labels[clip.id]] for clip in part], np.int64))
            for part in self._split(recipe, seed)
        )
        return training, validation

    def _require(self, needs: Needs) -> None:
        require_given(self.folder, needs, truth=self.truth, labels=self.labels)

    def _split(
        self, recipe: TrainingRecipe, seed: int
    ) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        wanted = min(recipe.validation_scenes, max(_FEWEST_HELD_OUT, len(self.clips) // 10))
        held_out = hold_out([clip.id for clip in self.clips], wanted, seed)
        training = tuple(clip for clip in self.clips if clip.id not in held_out)
        if not training:
            raise DataError(
                "all clips are of one video, so none can be held out for validation",
                where=self.folder,
                remedy="add clips of other videos",
            )
        return training, tuple(clip for clip in self.clips if clip.id in held_out)


def require_given(folder: Path, needs: Needs, *, truth: object, labels: object) -> None:
    """Raise DataError where an objective needs truth or labels and they are None."""
    if needs.truth and truth is None:
        raise DataError(
            "this model learns from images in which it is marked where they sound, and nothing "
            "marks it here",
            where=folder,
            remedy=HOW_TO_GIVE_TRUTH,
        )
    if needs.labels and labels is None:
        raise DataError(
            "this model learns from labelled images, and nothing labels them here",
            where=folder,
            remedy=HOW_TO_GIVE_LABELS,
        )


def open_user_folder(
    folder: Path,
    *,
    needs: Needs = _AUDIO_VISUAL,
    ids: Path | None = None,
    truth: GivenTruth | None = None,
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
    needs
        What the objective reads. Where it reads no sounds, ``audio`` is not looked at.
    ids
        A list of clips in any form that ``testsets.audit.read_training_list`` reads, perhaps
        under a heading ``id``; None for all clips that are there. Labels, where they are needed,
        are what :func:`~ssl_bench.testsets.audit.read_clip_labels` reads from it.
    truth
        Where the clips sound; needed by supervised objectives only.
    skip_missing
        Whether clips with a missing or unusable file, truth or label are left out, instead of
        refused.
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
        If there is no such folder, truth or labels are needed and not given, files are missing or
        unusable (one error names the clips), no clip is left, or clips belong to a test set.
    AnnotationError
        If the list is malformed.
    """
    require_given(folder, needs, truth=truth, labels=ids)
    images = find_images(folder / FRAMES)
    sounds = find_sounds(folder / AUDIO) if needs.sounds else {}
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
    labels = read_clip_labels(ids) if needs.labels and ids is not None else None
    files = ClipFiles(images, sounds, needs, truth if needs.truth else None, labels)
    clips, problems = usable_clips(names, files, progress)
    if problems and not skip_missing:
        shown = [f"{name}: {problem}" for name, problem in list(problems.items())[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"and {len(problems) - _SHOWN:,} more")
        error = DataError(
            f"{len(problems):,} of {len(names):,} clips lack a usable {files.wanted}",
            where=folder,
            remedy="add the files, take the clips off the list, or leave them out with "
            "--skip-missing",
        )
        error.args = ("\n  - ".join([str(error), *shown]),)
        raise error
    if not clips:
        raise DataError(
            f"no clip here has a usable {files.wanted}",
            where=folder,
            remedy=f"put images into {FRAMES}/"
            + (f" and sounds of the same names into {AUDIO}/" if needs.sounds else ""),
        )
    return UserFolder(
        folder,
        tuple(clips),
        len(problems),
        len(kept_away),
        tuple(test_set.name for test_set in held_out),
        files.truth,
        labels,
    )


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
