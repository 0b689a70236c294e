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

from ssl_bench.errors import DataError
from ssl_bench.media.audio import AUDIO_SUFFIXES, probe_audio, read_audio
from ssl_bench.media.image import IMAGE_SUFFIXES, probe_image, read_image
from ssl_bench.media.waveform import Waveform
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.audit import read_clip_labels, read_training_list
from ssl_bench.testsets.folder import AUDIO, FRAMES
from ssl_bench.testsets.identifiers import video_of
from ssl_bench.training.data import FrontEnd, Needs, Source, TrainingData
from ssl_bench.training.given_truth import HOW_TO_GIVE_TRUTH, GivenTruth
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run_state import Progress, counted

HOW_TO_GIVE_LABELS = "give --ids LIST.csv with lines like ID,LABEL"
"""What to do where an objective needs labels and there are none."""

_AUDIO_VISUAL = Needs()
_HEADING = "id"
# Key of the stream of random numbers of the hold-out.
_HOLD_OUT = 5
# Fewer would always be retrieved rightly.
_MIN_HELD_OUT = 2
_MAX_SHOWN_PROBLEMS = 50
_MAX_SHOWN_CLIPS = 5
_READERS = 8
_PROGRESS_EVERY = 100


@dataclass(frozen=True)
class Clip:
    """One clip of a folder: its name in the list, and its files; no sound where none is needed."""

    id: str
    image: Path
    sound: Path | None = None


class ClipSource(Source):
    """Clips as training examples, whose files are read when they are needed.

    `front_end` is the model's for sounds, `labels` ``(N,)`` int64 are the numbers of the clips'
    classes; either is None where it is not needed, as is where the clips sound.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        front_end: FrontEnd | None = None,
        truth: GivenTruth | None = None,
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        self.ids = tuple(clip.id for clip in clips)
        self.categories = np.full(len(clips), -1, np.int64) if labels is None else labels
        self.has_truth = truth is not None
        self._clips = clips
        self._front_end = front_end
        self._truth = truth
        # Names and sizes of the files stand for their content.
        files = [(clip.id, path) for clip in clips for path in (clip.image, clip.sound) if path]
        notes = [f"{name}\t{path.name}\t{path.stat().st_size}" for name, path in files]
        notes += [] if truth is None else map(truth.fingerprint, self.ids)
        notes += [] if labels is None else map(str, labels)
        self.digest = hashlib.sha256("".join(f"{note}\n" for note in notes).encode()).hexdigest()

    def image(self, row: int) -> NDArray[np.uint8]:
        """See :meth:`~ssl_bench.training.data.Source.image`."""
        return read_image(self._clips[row].image)

    def sound(self, row: int, shift: float = 0.0) -> NDArray[np.float32]:
        """See :meth:`~ssl_bench.training.data.Source.sound`.

        The whole clip is rolled before the front end takes its part of it. Raises DataError where
        the clips were opened without their sounds.
        """
        path = self._clips[row].sound
        if path is None or self._front_end is None:
            raise DataError(
                "this clip was opened without its sound",
                code="E_SOUND_UNREAD",
                where=self.ids[row],
            )
        sound = read_audio(path)
        moved = round(shift * len(sound.samples))
        if moved:
            sound = Waveform(np.roll(sound.samples, moved, axis=0), sound.rate)
        try:
            return self._front_end(sound)
        except DataError as error:
            raise DataError(
                error.problem, code=error.code, where=path, remedy=error.remedy
            ) from None

    def truth(self, row: int) -> NDArray[np.float32]:
        """Where one clip sounds, ``(224, 224)`` float32 in [0, 1]."""
        assert self._truth is not None
        return self._truth.map(self.ids[row])


class UserFolder(TrainingData):
    """A user's clips as training data.

    Classes are the labels of the clips in alphabetical order; further parameters are those of
    :class:`~ssl_bench.training.data.TrainingData`, and what is needed of the clips.
    """

    def __init__(
        self,
        folder: Path,
        clips: Sequence[Clip],
        *,
        left_out: int = 0,
        held_out: int = 0,
        checked_against: tuple[str, ...] = (),
        truth: GivenTruth | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.name = folder.resolve().name
        self.clips = tuple(clips)
        self.left_out = left_out
        self.held_out = held_out
        self.checked_against = checked_against
        self._folder = folder
        self._truth = truth
        self._labels = labels
        if labels is not None:
            self.classes = tuple(sorted({labels[clip.id] for clip in clips}))

    def sources(
        self,
        needs: Needs,
        recipe: TrainingRecipe,
        seed: int,
        front_end: FrontEnd | None = None,
        progress: Progress | None = None,
    ) -> tuple[Source, Source]:
        """Clips for training, and some that are held out for validation.

        Whole videos are held out, drawn by `seed`, until they have a tenth of the clips (two at
        least), or as many as the recipe's ``validation_scenes``. Raises DataError if truth or
        labels are needed and were not given, all labels are the same, or all clips are of one
        video.
        """
        del progress
        require_given(self._folder, needs, truth=self._truth, labels=self._labels)
        numbers: dict[str, int] = {}
        if needs.labels:
            classes = self.classes or ()
            if len(classes) < 2:
                raise DataError(
                    f"all clips have the label {classes[0]!r}, so there is nothing to tell apart",
                    code="E_CLASSES_FEW",
                    where=self._folder,
                    remedy="add clips of other classes",
                )
            labels = self._labels or {}
            numbers = {clip.id: classes.index(labels[clip.id]) for clip in self.clips}
        count = min(recipe.validation_scenes, max(_MIN_HELD_OUT, len(self.clips) // 10))
        held_out = hold_out([clip.id for clip in self.clips], count, seed)
        training = [clip for clip in self.clips if clip.id not in held_out]
        if not training:
            raise DataError(
                "all clips are of one video, so none can be held out for validation",
                code="E_VIDEOS_FEW",
                where=self._folder,
                remedy="add clips of other videos",
            )

        def source(clips: Sequence[Clip]) -> ClipSource:
            own = [numbers[clip.id] for clip in clips if needs.labels]
            return ClipSource(
                clips,
                front_end,
                self._truth if needs.truth else None,
                np.array(own, np.int64) if needs.labels else None,
            )

        return source(training), source([clip for clip in self.clips if clip.id in held_out])


def require_given(folder: Path, needs: Needs, *, truth: object, labels: object) -> None:
    """Raise DataError where an objective needs truth or labels and they are None."""
    if needs.truth and truth is None:
        raise DataError(
            "this model learns from images in which the sounding places are marked, and no truth "
            "was given",
            code="E_TRUTH_MISSING",
            where=folder,
            remedy=HOW_TO_GIVE_TRUTH,
        )
    if needs.labels and labels is None:
        raise DataError(
            "this model learns from labelled images, and no labels were given",
            code="E_LABELS_MISSING",
            where=folder,
            remedy=HOW_TO_GIVE_LABELS,
        )


def hold_out(identifiers: Sequence[str], count: int, seed: int) -> frozenset[str]:
    """Draw whole videos until at least `count` clips are held out.

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
        if len(chosen) >= count:
            break
        chosen += of_video[videos[place]]
    return frozenset(chosen)


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
    """Find a user's clips, and check every file once.

    An image is ``frames/ID.jpg`` (or another image ending), or the middle file, by name, of the
    folder ``frames/ID``. A sound, where one is needed, is ``audio/ID.wav`` (or another ending).

    Parameters
    ----------
    folder
        Holds ``frames`` and ``audio``.
    needs
        What the objective reads.
    ids
        A list of clips in any form that ``testsets.audit.read_training_list`` reads, perhaps
        under a heading ``id``; None for all clips that are there. Labels, where they are needed,
        are what :func:`~ssl_bench.testsets.audit.read_clip_labels` reads from it.
    truth
        Where the clips sound; needed by supervised objectives only.
    skip_missing, skip_held_out
        Leave out clips with a missing or unusable file, truth or label, and clips that belong to a
        test set or share a video with it, instead of refusing.
    held_out
        Test sets that no clip may belong to.
    progress
        Called while clips are checked.

    Raises
    ------
    DataError
        If there is no such folder, truth or labels are needed and not given, files are missing or
        unusable (one error names the clips), no clip is left, or clips belong to a test set.
    AnnotationError
        If the list is malformed.
    """
    require_given(folder, needs, truth=truth, labels=ids)
    images = _find_images(folder / FRAMES)
    sounds = _files(folder / AUDIO, AUDIO_SUFFIXES) if needs.sounds else {}
    there = tuple(sorted({*images, *sounds}))
    names = there if ids is None else read_training_list(ids).clips
    if names and names[0] == _HEADING and _HEADING not in there:
        names = names[1:]
    excluded: set[str] = set()
    for test_set in held_out:
        if not skip_held_out:
            refuse_overlap(names, test_set, where=ids or folder)
        excluded.update(*overlap(names, test_set))
    names = tuple(name for name in names if name not in excluded)
    labels = read_clip_labels(ids) if needs.labels and ids is not None else None
    truth = truth if needs.truth else None

    def checked(name: str) -> Clip | str:
        """One clip, whose files can be opened; or its problem."""
        image, sound = images.get(name), sounds.get(name)
        absent = {
            "image": image is None,
            "sound": needs.sounds and sound is None,
            "label": labels is not None and name not in labels,
        }
        if any(absent.values()) or image is None:
            return f"no {' and no '.join(kind for kind, lacks in absent.items() if lacks)}"
        try:
            probe_image(image)
            if sound is not None:
                probe_audio(sound)
            if truth is not None:
                truth.check(name)
        except DataError as error:
            return f"{error.where}: {error.problem}" if error.where else error.problem
        return Clip(name, image, sound)

    report = counted("checking clips", progress)
    clips: list[Clip] = []
    problems: list[str] = []
    with ThreadPoolExecutor(_READERS) as readers:
        results = zip(names, readers.map(checked, names), strict=True)
        for number, (name, result) in enumerate(results, 1):
            if isinstance(result, Clip):
                clips.append(result)
            else:
                problems.append(f"{name}: {result}")
            if report is not None and (number % _PROGRESS_EVERY == 0 or number == len(names)):
                report(number, len(names))
    parts = {"sound": needs.sounds, "truth": needs.truth, "label": needs.labels}
    *others, last = ["image", *(name for name, needed in parts.items() if needed)]
    wanted = f"{', '.join(others)} or {last}" if others else last
    if problems and not skip_missing:
        shown = problems[:_MAX_SHOWN_PROBLEMS]
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown):,} more")
        error = DataError(
            f"{len(problems):,} of {len(names):,} clips lack a usable {wanted}",
            code="E_CLIPS_UNUSABLE",
            where=folder,
            remedy="add the files, take the clips off the list, or leave them out with "
            "--skip-missing",
        )
        error.args = ("\n  - ".join([str(error), *shown]),)
        raise error
    if not clips:
        raise DataError(
            f"no clip here has a usable {wanted}",
            code="E_CLIPS_NONE",
            where=folder,
            remedy=f"put images into {FRAMES}/"
            + (f" and sounds of the same names into {AUDIO}/" if needs.sounds else ""),
        )
    return UserFolder(
        folder,
        clips,
        left_out=len(problems),
        held_out=len(excluded),
        checked_against=tuple(test_set.name for test_set in held_out),
        truth=truth,
        labels=labels,
    )


def _find_images(folder: Path) -> dict[str, Path]:
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
    try:
        paths = [Path(entry.path) for entry in os.scandir(folder)]
    except OSError as error:
        raise DataError(
            f"this folder cannot be read ({error.strerror})",
            code="E_FOLDER_UNREADABLE",
            where=folder,
            remedy=f"training needs {FRAMES}/ and, for models that use sounds, {AUDIO}/ in one "
            "folder",
        ) from None
    wanted = [path for path in paths if path.suffix in order]
    # The last one of a name is kept.
    return {path.stem: path for path in sorted(wanted, key=lambda p: -order[p.suffix])}


@dataclass(frozen=True)
class HeldOut:
    """Clips that are kept for testing, by id, with the videos that they come from."""

    name: str
    clips: frozenset[str]
    videos: frozenset[str]


def read_held_out(reference: str) -> HeldOut:
    """The clips of a protocol's test set, or of a list.

    `reference` is a file with one clip on each line, in any form that a training list may have;
    else a protocol, such as ``vggss``, whose test set is found as for an evaluation. Raises
    DataError or ProtocolError if it is neither, or cannot be read.

    Examples
    --------
    >>> held_out = read_held_out("synth")
    >>> len(held_out.clips), min(held_out.clips)
    (500, 'standard-000000')
    """
    if Path(reference).is_file():
        clips = read_training_list(Path(reference)).clips
        return HeldOut(reference, frozenset(clips), frozenset(map(video_of, clips)))
    protocol = load_protocol(reference)
    table = protocol.test_set
    samples = open_test_set(table.name, table.split, options=table.options).samples
    videos = {video for sample in samples for video in (sample.group, video_of(sample.id))}
    return HeldOut(protocol.label, frozenset(sample.id for sample in samples), frozenset(videos))


def overlap(clips: Sequence[str], test_set: HeldOut) -> tuple[list[str], list[str]]:
    """Clips that belong to a test set themselves, and further ones that share a video with it.

    Examples
    --------
    >>> kept = HeldOut("vggss", frozenset({"a_000010"}), frozenset({"a"}))
    >>> overlap(["a_000010", "a_000030", "b_000010"], kept)
    (['a_000010'], ['a_000030'])
    """
    others = [clip for clip in clips if clip not in test_set.clips]
    # A clip without a start second stands for its whole video.
    related = [clip for clip in others if {clip, video_of(clip)} & test_set.videos]
    return [clip for clip in clips if clip in test_set.clips], related


def refuse_overlap(clips: Sequence[str], test_set: HeldOut, *, where: str | Path) -> None:
    """Raise DataError where training clips belong to a test set, or share a video with it.

    `where` is the list or folder of the training clips, for the message.
    """
    same, related = overlap(clips, test_set)
    found = [*same, *related]
    if not found:
        return
    shown = ", ".join(found[:_MAX_SHOWN_CLIPS]) + (", ..." if len(found) > _MAX_SHOWN_CLIPS else "")
    verb = "belongs" if len(found) == 1 else "belong"
    raise DataError(
        f"{len(found):,} of {len(clips):,} training clips {verb} to {test_set.name} "
        f"({len(same):,} themselves, {len(related):,} by their video): {shown}",
        code="E_CLIPS_HELD_OUT",
        where=where,
        remedy="take them off the training list, or leave them out with --skip-held-out",
    )
