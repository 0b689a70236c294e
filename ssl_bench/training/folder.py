"""Training on a user's own clips: which of a folder's ``frames/`` and ``audio/`` are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ssl_bench.errors import DataError, Problem
from ssl_bench.media.audio import AUDIO_SUFFIXES
from ssl_bench.media.check import (
    Checked,
    CheckOptions,
    Facts,
    Kind,
    Wanted,
    check_media,
    refuse_unusable,
    remarks_on,
    write_report,
)
from ssl_bench.media.find import MediaFiles, key_of
from ssl_bench.media.image import IMAGE_SUFFIXES
from ssl_bench.media.names import ClipNames, bare, clip_names, read_names, video_of
from ssl_bench.media.video import VIDEO_SUFFIXES
from ssl_bench.media.waveform import Waveform
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.testsets import DATA_VARIABLE, open_test_set
from ssl_bench.testsets.audit import names_of, require_understood, shown
from ssl_bench.testsets.folder import AUDIO, FRAMES, VIDEOS
from ssl_bench.testsets.lists import ClipList, labels_by_clip, read_clip_list
from ssl_bench.training.clips import Clip, ClipSource
from ssl_bench.training.data import FrontEnd, Needs, Source, TrainingData, refuse_heard_only
from ssl_bench.training.given_truth import HOW_TO_GIVE_TRUTH, GivenTruth
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run_state import Progress, counted

HOW_TO_GIVE_LABELS = "give --ids LIST.csv with lines like ID,LABEL"
"""What to do where an objective needs labels and there are none."""

_AUDIO_VISUAL = Needs()
# Key of the stream of random numbers of the hold-out.
_HOLD_OUT = 5
_DRAWN = 6
# Fewer would always be retrieved rightly.
_MIN_HELD_OUT = 2
_READERS = 2


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
        notes: tuple[str, ...] = (),
    ) -> None:
        self.notes = notes
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
        least), or as many as the recipe's ``validation_scenes``. Of the others all are used, or
        as many as the recipe's ``scenes``, drawn by `seed`. Raises DataError if truth or labels
        are needed and were not given, all labels are the same, all clips are of one video, or
        there are fewer than the recipe asks for.
        """
        del progress
        refuse_heard_only(recipe, self._folder)
        require_given(self._folder, needs, truth=self._truth, labels=self._labels)
        numbers: dict[str, int] = {}
        if needs.labels:
            classes = self.classes or ()
            if len(classes) < 2:
                raise DataError(
                    f"all clips have the label {classes[0]!r}, so there is nothing to distinguish",
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
        if recipe.scenes is not None:
            training = _drawn(training, recipe.scenes, seed, self._folder)

        def source(clips: Sequence[Clip]) -> ClipSource:
            own = [numbers[clip.id] for clip in clips if needs.labels]
            return ClipSource(
                clips,
                front_end,
                self._truth if needs.truth else None,
                np.array(own, np.int64) if needs.labels else None,
                needs.video,
            )

        return source(training), source([clip for clip in self.clips if clip.id in held_out])


def _drawn(clips: Sequence[Clip], count: int, seed: int, folder: Path) -> list[Clip]:
    """So many of the clips, in their order; those of a number are among those of a larger one."""
    if len(clips) < count:
        raise DataError(
            f"{len(clips):,} clips are left for training, and {count:,} are asked for",
            code="E_CLIPS_FEW",
            where=folder,
            remedy="ask for fewer, or add clips",
        )
    order = np.random.default_rng(np.random.SeedSequence([seed, _DRAWN])).permutation(len(clips))
    chosen = set(order[:count].tolist())
    return [clip for number, clip in enumerate(clips) if number in chosen]


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
            "this model learns from labelled clips or images, and no labels were given",
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
    held_out: Sequence[HeldOut | ClipList] = (),
    skip_held_out: bool = False,
    takes: Callable[[Waveform], object] | None = None,
    report: Path | None = None,
    progress: Progress | None = None,
) -> UserFolder:
    """Find a user's clips, and decode every file once.

    An image is ``frames/ID.jpg`` (or another image ending), or the middle file, by number, of the
    folder ``frames/ID``. A sound, where one is needed, is ``audio/ID.wav`` (or another ending), and
    a video ``videos/ID.mp4``, whose middle is the moment of the image. They, and the list, may
    spell a clip in different ways; see :mod:`ssl_bench.media.names`.

    Parameters
    ----------
    folder
        Holds ``frames``, and ``audio`` and ``videos`` where they are needed.
    needs
        What the objective reads.
    ids
        A list of clips in any form that :func:`~ssl_bench.testsets.lists.read_clip_list` reads,
        with their labels where these are needed; None for all clips that are there.
    truth
        Where the clips sound; needed by supervised objectives only.
    skip_missing, skip_held_out
        Leave out clips with a missing or unusable file, truth or label, and clips that belong to a
        test set or share a video with it, instead of refusing.
    held_out
        Test sets, and lists of their clips, that no clip may belong to.
    takes
        Raises DataError for a sound that the model does not take, as of another rate.
    report
        CSV file to write every problem and remark on images and sounds into.
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
    images, beside = _media(folder, needs)
    there = tuple(
        sorted({*images.clips, *(clip for files in beside.values() for clip in files.clips)})
    )
    own = clip_names(there)
    names, notes = there, []
    labels: dict[str, str] | None = None
    if ids is not None:
        listed = read_clip_list(ids)
        names, note = _listed(listed, own)
        notes += [f"{ids}: {each}" for each in (listed.note, note) if each]
        labels = labels_by_clip(listed, own) if needs.labels else None
    if len({video_of(name) for name in names}) == len(names) > 1:
        notes.append("validation: each clip is taken for a video of its own")
    excluded: set[str] = set()
    tested = [each if isinstance(each, HeldOut) else held_out_of(each, own) for each in held_out]
    for test_set in tested:
        notes += [f"{test_set.name}: {test_set.note}"] if test_set.note else []
        if not skip_held_out:
            refuse_overlap(names, test_set, where=ids or folder)
        excluded.update(*overlap(names, test_set, where=ids or folder))
    names = tuple(name for name in names if name not in excluded)
    truth = truth if needs.truth else None

    def wanted(name: str) -> Iterator[Wanted]:
        yield Wanted(name, "image", partial(images.require, name))
        for kind, files in beside.items():
            yield Wanted(name, kind, partial(files.require, name))

    checked = check_media(
        [file for name in names for file in wanted(name)],
        CheckOptions(jobs=_READERS, progress=counted("checking clips", progress)),
        takes=takes,
    )
    for name in names:
        if labels is not None and name not in labels:
            problem = Problem("the list gives no label for it", "E_LABELS_MISSING")
            checked.append(Checked(name, "label", None, Facts(problem)))
        try:
            if truth is not None:
                truth.check(name)
        except DataError as error:
            where = f"{error.where}: " if error.where else ""
            problem = Problem(f"{where}{error.problem}", error.code)
            checked.append(Checked(name, "truth", None, Facts(problem)))
    notes += remarks_on(checked)
    if report is not None:
        write_report(report, checked)
    unusable = {each.item for each in checked if each.problem is not None}
    found = {(each.item, each.kind): each.path for each in checked if each.path is not None}
    clips = [
        Clip(name, image, found.get((name, "sound")), found.get((name, "video")))
        for name in names
        if name not in unusable and (image := found.get((name, "image"))) is not None
    ]
    parts = {
        "sound": needs.sounds,
        "video": needs.video is not None,
        "truth": needs.truth,
        "label": needs.labels,
    }
    *others, last = ["image", *(name for name, needed in parts.items() if needed)]
    usable = f"usable {', '.join(others)} or {last}" if others else f"usable {last}"
    if not skip_missing:
        refuse_unusable(
            checked,
            code="E_CLIPS_UNUSABLE",
            where=f"{folder} ({len(unusable):,} of {len(names):,} clips lack a {usable})",
            remedy="add the files, take the clips off the list, or leave them out with "
            "--skip-missing",
        )
    if not clips:
        raise DataError(
            f"no clip here has a {usable}",
            code="E_CLIPS_NONE",
            where=folder,
            remedy=f"put images into {FRAMES}/"
            + (f" and sounds of the same names into {AUDIO}/" if needs.sounds else ""),
        )
    return UserFolder(
        folder,
        clips,
        left_out=len(unusable),
        held_out=len(excluded),
        checked_against=tuple(test_set.name for test_set in tested),
        truth=truth,
        labels=labels,
        notes=tuple(notes),
    )


def _media(folder: Path, needs: Needs) -> tuple[MediaFiles, dict[Kind, MediaFiles]]:
    """Images by clip, and sounds and videos where needed; images give the clips their names."""
    places: dict[Kind, tuple[Path, Sequence[str]]] = {}
    if needs.sounds:
        places["sound"] = (folder / AUDIO, AUDIO_SUFFIXES)
    if needs.video is not None:
        places["video"] = (folder / VIDEOS, VIDEO_SUFFIXES)
    for place in (folder / FRAMES, *(place for place, _ in places.values())):
        if not place.is_dir():
            raise DataError(
                "this folder does not exist",
                code="E_NO_VIDEO" if place.name == VIDEOS else "E_FOLDER_UNREADABLE",
                where=place,
                remedy=f"training needs {FRAMES}/, for models that use sounds {AUDIO}/, and for "
                f"models that use video {VIDEOS}/, in one folder",
            )
    images = MediaFiles([folder / FRAMES], IMAGE_SUFFIXES, bare, frames=True)
    known = key_of(clip_names(images.clips)) if places else bare
    return images, {
        kind: MediaFiles([place], suffixes, lambda stem: known(stem) or bare(stem))
        for kind, (place, suffixes) in places.items()
    }


def _listed(listed: ClipList, own: ClipNames) -> tuple[tuple[str, ...], str]:
    """The clips of a list by their names in the folder, others by their own; and a note."""
    read = read_names(listed.names, own)
    where = Path(listed.path)
    note = require_understood(read, own, where=where)
    if not any(clip in own for clip in read.clips):
        raise DataError(
            f"no clip of this list is in the folder: it names {shown(listed.names)}, and the "
            f"folder holds {own.example!r}",
            code="E_CLIPS_NONE",
            where=where,
            remedy="name clips that are in the folder",
        )
    return tuple(read.clips), note


@dataclass(frozen=True)
class HeldOut:
    """Clips that are kept for testing, by what they are called, and what else is to say of them."""

    name: str
    clips: ClipNames
    note: str = ""


def held_out_of(listed: ClipList, own: ClipNames) -> HeldOut:
    """The test clips of a list, read by the names of the training clips.

    Raises DataError where too many lines are not understood beside them.

    Examples
    --------
    >>> own = ClipNames({"zYf0pcZ5q3M_000030": "zYf0pcZ5q3M"})
    >>> held_out_of(ClipList(("zYf0pcZ5q3M_90_100.mp4",)), own).clips.videos
    frozenset({'zYf0pcZ5q3M'})
    """
    read = read_names(listed.tests or listed.names, own)
    note = require_understood(read, own, where=listed.path)
    known = ClipNames({clip.id: clip.video for clip in read.clips.values()})
    return HeldOut(str(listed.path), known, note)


def read_held_out(reference: str) -> HeldOut | ClipList:
    """The clips of a protocol's test set, or a list that :func:`held_out_of` reads.

    `reference` is a file with one clip on each line, in any form that a training list may have,
    of which only the rows marked as test clips count where some are; else a protocol, such as
    ``vggss``, whose test set is found as for an evaluation. Raises DataError or ProtocolError if
    it is neither, or cannot be read.

    Examples
    --------
    >>> held_out = read_held_out("synth")
    >>> "standard-000000" in held_out.clips
    True
    """
    if Path(reference).is_file():
        return read_clip_list(Path(reference))
    protocol = load_protocol(reference)
    table = protocol.test_set
    try:
        samples = open_test_set(table.name, table.split, options=table.options).samples
    except DataError as error:
        if error.code != "E_DATA_FOLDER":
            raise
        remedy = f"set {DATA_VARIABLE} to the folder that holds it; --data is what is trained on"
        raise DataError(error.problem, code=error.code, remedy=remedy) from None
    return HeldOut(protocol.label, names_of(samples))


def overlap(
    clips: Sequence[str], test_set: HeldOut, *, where: str | Path = "the clips"
) -> tuple[list[str], list[str]]:
    """Clips that belong to a test set themselves, and further ones that share a video with it.

    Raises DataError where too many of them are not understood as clips of such a test set.

    Examples
    --------
    >>> kept = HeldOut("vggss", ClipNames({"a_000010": "a"}))
    >>> overlap(["a_10", "a_000030", "b_000010"], kept)
    (['a_10'], ['a_000030'])
    """
    known = test_set.clips
    require_understood(read_names(clips, known), known, where=where)
    same, related = [], []
    for name in clips:
        clip = known.read(name)
        if clip is not None and clip.id in known:
            same.append(name)
        elif clip is not None and clip.video in known.videos:
            related.append(name)
    return same, related


def refuse_overlap(clips: Sequence[str], test_set: HeldOut, *, where: str | Path) -> None:
    """Raise DataError where training clips belong to a test set, or share a video with it.

    `where` is the list or folder of the training clips, for the message.
    """
    same, related = overlap(clips, test_set, where=where)
    found = [*same, *related]
    if not found:
        return
    verb = "belongs" if len(found) == 1 else "belong"
    raise DataError(
        f"{len(found):,} of {len(clips):,} training clips {verb} to {test_set.name} "
        f"({len(same):,} themselves, {len(related):,} by their video): {shown(found)}",
        code="E_CLIPS_HELD_OUT",
        where=where,
        remedy="take them off the training list, or leave them out with --skip-held-out",
    )
