"""A test set in a folder, read as its description says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, Problem
from ssl_bench.files import files_of, sha256_of_file
from ssl_bench.media.image import MaskRule, image_size, read_mask
from ssl_bench.testsets.annotations import Boxes, Mask, boxes_of
from ssl_bench.testsets.audit import names_of
from ssl_bench.testsets.base import Finding, Sample, SilentPair, corrupt, problem_of
from ssl_bench.testsets.described.coco import read_coco
from ssl_bench.testsets.described.description import (
    FILE,
    CocoForm,
    Description,
    Form,
    Masks,
    MasksForm,
    TableForm,
)
from ssl_bench.testsets.described.objects import UNKNOWN, Assembled, Object, assemble
from ssl_bench.testsets.described.table import facts_of, read_objects
from ssl_bench.testsets.folder import (
    AUDIO,
    FRAMES,
    VIDEOS,
    Contents,
    FolderDefinition,
    FolderTestSet,
    truth_notes,
    usual_convention,
)
from ssl_bench.testsets.identifiers import FieldError
from ssl_bench.testsets.lists import read_id_list
from ssl_bench.testsets.silent import off_screen_pairs
from ssl_bench.testsets.tables import SLACK, check_box, refuse

_MASKS = "masks"
_RULE_OF: dict[str, MaskRule] = {
    _MASKS if rule == "two-valued" else f"{_MASKS}-{rule}": rule for rule in get_args(MaskRule)
}
_OTHER_RULES = ", ".join(list(_RULE_OF)[1:])
_MAX_MASK = 2048
_SAME_SHAPE = 0.02  # how far the shapes of a mask and its picture may be apart: they are resized


class Described(FolderDefinition):
    """A test set that a file describes.

    `own` is one that a user describes: its images and sounds must be there, if any are, and fit.
    Where boxes and masks are there, they are splits: ``masks`` takes masks of two levels as truth,
    and ``masks-nonzero``, ``masks-half``, ``masks-alpha`` and ``masks-dither`` read others by these
    rules (:func:`~ssl_bench.media.image.read_mask`).
    """

    def __init__(self, name: str, description: Description, *, own: bool = False) -> None:
        self.name = name
        self.title = description.title
        self.file = description
        self.own = own
        self.annotation = description.forms[0].file
        self.silent_list = description.silent
        self.revisions = description.revisions
        if own:
            names = (name for form in description.forms for name in form.attributes)
            self.declared = tuple(dict.fromkeys(names))
        whole = ("boxes", *_RULE_OF) if self._has_boxes_and_masks else ("all",)
        self.splits = (*whole, *description.splits)

    @property
    def _has_boxes_and_masks(self) -> bool:
        form = self.file.forms[0]
        return self.file.masks is not None and isinstance(form, TableForm) and _has_boxes(form)

    @property
    def description(self) -> str:  # type: ignore[override]
        """How the folder must look."""
        return self.file.layout or "".join(self._layout())

    def _layout(self) -> Iterator[str]:
        yield f"DATA/{self.name}/\n"
        parts = {
            FILE: f"what is what: {self.title}",
            **{form.file: f"the annotation ({form.form})" for form in self.file.forms},
            f"{self.file.images}/": "images",
            f"{self.file.sounds}/": "sounds",
            **({} if self.file.masks is None else {f"{self.file.masks.folder}/": "masks"}),
            **{name: f"only for {self.name}:{split}" for split, name in self.file.splits.items()},
            **({} if self.file.silent is None else {self.file.silent: "pairs without a source"}),
        }
        for name, what in parts.items():
            yield f"  {name:24} {what}\n"
        for fact in ("licence", "source"):
            if getattr(self.file, fact):
                yield f"{fact}: {getattr(self.file, fact)}\n"

    @property
    def remedy(self) -> str:
        """What to do about a file that is missing or corrupt."""
        if self.own:
            return f"correct it, or what {FILE} says of it"
        if not self._has_boxes_and_masks:
            return super().remedy
        return (
            f"{super().remedy}; {self.name}:boxes needs no masks, and the splits {_OTHER_RULES} "
            "read masks by other rules"
        )

    def _form_in(self, folder: Path) -> Form:
        forms = self.file.forms
        return next((form for form in forms if (folder / form.file).exists()), forms[0])

    def annotation_in(self, folder: Path) -> str:
        """The first form of the annotation that is there."""
        return self._form_in(folder).file

    def media_folders(self, folder: Path, kind: str) -> list[Path]:
        """Where images, sounds or videos lie."""
        names = {FRAMES: self.file.images, AUDIO: self.file.sounds, VIDEOS: self.file.videos}
        return [folder / names[kind]]

    def group_of(self, clip: str) -> str:
        """The source of a clip that is not annotated, as names tell it."""
        derived = self.file.forms[0].derive.group
        return (derived.value(clip) if derived is not None and derived.of == "id" else "") or clip

    def revision_of(self, test_set: FolderTestSet) -> str | None:
        """Name of the published annotation, known by the digest of its truth or its file."""
        if not self.revisions or test_set.split in _RULE_OF:
            return None
        path = test_set.folder / self.annotation_in(test_set.folder)
        digests = (test_set.digest, sha256_of_file(path))
        return next(filter(None, map(self.revisions.get, digests)), None)

    def silent_pairs_of(self, samples: Sequence[Sample]) -> Sequence[SilentPair]:
        """Without a list, each image has the sound of a sample that it cannot show."""
        return off_screen_pairs(samples, seed=0)

    def read(self, folder: Path, split: str) -> Contents:
        """Read the annotation, and the list or the masks of a split.

        Raises
        ------
        DataError
            If a file cannot be read; an AnnotationError with every problem of the annotation and,
            in an own test set, of images and sounds that it names.
        """
        form = self._form_in(folder)
        path = folder / form.file
        made = self._made(path, form)
        problems = [*made.problems]
        contents = Contents(
            made.samples,
            images=made.images,
            sounds=made.sounds,
            convention=self.file.truth or made.convention or usual_convention(made.samples),
        )
        at_hand = FolderTestSet(self, folder, split, contents) if self.own else None
        if at_hand is not None:
            problems += self._misfits(at_hand, made)
            contents = replace(contents, samples=self._sized(at_hand, made, problems))
        if not made.samples and not problems:
            problems.append(Problem("nothing in it has a sound", "E_FILE_EMPTY"))
        refuse(problems, path, self.remedy)
        masks = self.file.masks
        if masks is not None and (split in _RULE_OF or not self._has_boxes_and_masks):
            asked = masks.model_copy(update={"rule": _RULE_OF.get(split, masks.rule)})
            contents = self._with_masks(folder, asked, contents, made, at_hand)
        if split in self.file.splits:
            listed = self._listed(folder / self.file.splits[split], contents.samples)
            contents = replace(contents, samples=listed)
        return contents

    def read_file(self, path: Path, form: int = 0) -> Sequence[Sample]:
        """The samples of an annotation file, wherever it lies, in one of the forms.

        Raises DataError where it cannot be read; an AnnotationError with every problem.
        """
        made = self._made(path, self.file.forms[form])
        refuse(made.problems, path, self.remedy)
        return made.samples

    def _made(self, path: Path, form: Form) -> Assembled:
        if isinstance(form, CocoForm):
            return read_coco(path, form, remedy=self.remedy)
        problems: list[Problem] = []
        if isinstance(form, TableForm):
            objects, problems = read_objects(path, form, remedy=self.remedy)
            made = assemble(objects, once=form.once, never_heard=form.never_heard)
        else:
            made = assemble(_masks_in(path, form, problems), once=True)
        return replace(made, problems=[*problems, *made.problems])

    def _misfits(self, test_set: FolderTestSet, made: Assembled) -> list[Problem]:
        """Images and sounds that are named and not there, where there are any."""
        problems: dict[str, Problem] = {}
        for kind, names in ((FRAMES, made.images), (AUDIO, made.sounds)):
            (place,) = self.media_folders(test_set.folder, kind)
            if self.file.partial or not place.is_dir():
                continue
            for identifier, name in names.items():
                try:
                    test_set.media_file(kind, name)
                except DataError as error:
                    text = f"{made.place_of(identifier)}: {place.name}/: {error.problem}"
                    problems.setdefault(f"{kind}/{name}", Problem(text, error.code))
        return list(problems.values())

    def _sized(
        self, test_set: FolderTestSet, made: Assembled, problems: list[Problem]
    ) -> list[Sample]:
        """Samples whose boxes in pixels know the size of their picture, which is compared."""
        samples = []
        for sample in made.samples:
            place, stated, annotation = (
                made.place_of(sample.id),
                made.frame_of(sample.id),
                sample.annotation,
            )
            size = None if stated is None else _size_of(test_set, sample.id)
            if size is None:
                if stated == UNKNOWN:
                    text = "its box is in pixels, and no readable image tells the size"
                    problems.append(Problem(f"{place}: {text}", "E_IMAGE_SIZE"))
            elif stated == UNKNOWN and isinstance(annotation, Boxes):
                sample = replace(sample, annotation=replace(annotation, frame=size))
                for x0, y0, x1, y1 in annotation.corners.tolist():
                    try:
                        check_box((x0, y0, x1, y1), 0, *size)
                    except FieldError as error:
                        problems.append(Problem(f"{place}: {error}", error.code))
            elif size != stated:
                text = f"it is of {_sides(stated)} pixels, and its image has {_sides(size)}"
                problems.append(Problem(f"{place}: {text}", "E_IMAGE_SIZE"))
            samples.append(sample)
        return samples

    def _with_masks(
        self,
        folder: Path,
        masks: Masks,
        contents: Contents,
        made: Assembled,
        at_hand: FolderTestSet | None,
    ) -> Contents:
        """Samples with their masks, and the boxes beside them."""
        samples: list[Sample] = []
        problems: list[Finding] = []
        for sample in contents.samples:
            drawn = []
            for one in made.objects[sample.id]:
                item = f"{masks.folder}/{one.mask}.png"
                try:
                    size = None if at_hand is None else _size_of(at_hand, sample.id)
                    drawn.append(_read_mask(folder / item, masks.rule, size))
                except DataError as error:
                    problem = Problem(f"{error.problem} ({one.place})", error.code)
                    problems.append(problem_of(item, problem))
            if len(drawn) == len(made.objects[sample.id]):
                boxes = sample.annotation
                known = boxes if isinstance(boxes, Boxes) and len(boxes) else None
                mask = Mask(np.logical_or.reduce(drawn), known)
                samples.append(replace(sample, annotation=mask))
        convention = self.file.truth or "mask"
        return replace(contents, samples=samples, problems=problems, convention=convention)

    def _listed(self, path: Path, samples: Sequence[Sample]) -> list[Sample]:
        """The samples of a list, in the order of the annotation."""
        known = names_of(samples)
        ids = read_id_list(path, remedy=self.remedy, blanks=True)
        names = {name: known.read(name) for name in ids}
        listed = {clip.id for clip in names.values() if clip is not None}
        problems = [
            Problem(f"{name} is listed but not annotated", "E_ID_UNKNOWN")
            for name, clip in sorted(names.items())
            if not clip or clip.id not in known
        ]
        refuse(problems, path, self.remedy)
        return [sample for sample in samples if sample.id in listed]

    def counts(self, samples: Sequence[Sample]) -> str:
        """Samples, boxes, categories, pictures, sounds and sources."""
        boxes = [boxes_of(sample.annotation) for sample in samples]
        counts = {
            "samples": len(samples),
            "boxes": sum(len(each) for each in boxes if each is not None),
            "categories": len({sample.category for sample in samples}),
            "pictures": len({sample.attributes.get("image", sample.id) for sample in samples}),
            "sounds": len({sample.sound for sample in samples}),
            "groups": len({sample.group for sample in samples}),
        }
        return ", ".join(f"{count:,} {name}" for name, count in counts.items())

    def summary(self, test_set: FolderTestSet) -> Finding:
        """How much the annotation holds, and which published one it is, if one is known."""
        found = super().summary(test_set)
        item, counts = found.item, self.counts(test_set.samples)
        return found if self.revisions else Finding("ok", item, counts)

    def notes(self, test_set: FolderTestSet) -> list[Finding]:
        """Boxes that leave the frame, pictures of one sound, lists of splits, and masks."""
        findings = []
        for sample in test_set.samples:
            boxes = boxes_of(sample.annotation)
            shares = np.zeros(0) if boxes is None else (boxes.corners / (boxes.frame * 2)).ravel()
            outside = shares[(shares < 0) | (shares > 1)]
            if len(outside):
                far = "far " if not -SLACK <= outside[0] <= 1 + SLACK else ""
                value = f"a coordinate of {outside[0]:.4g} lies {far}outside the frame"
                findings.append(Finding("note", sample.id, f"{value}; it is drawn clipped"))
        pictures = Counter(sample.attributes.get("image") for sample in test_set.samples)
        message = "it has one sound only, so nothing can be swapped"
        alone = [name for name, count in pictures.items() if name and count == 1]
        findings += [Finding("note", str(name), message) for name in alone]
        for split, name in self.file.splits.items():
            if not (test_set.folder / name).exists():
                message = f"not there; needed for the split {split!r} only"
                findings.append(Finding("note", name, message))
                continue
            try:
                count = len(self._listed(test_set.folder / name, test_set.samples))
            except DataError as error:
                findings += corrupt(name, error)
            else:
                findings.append(Finding("ok", name, f"{count:,} of {len(test_set):,} samples"))
        return findings + (self._notes_on_masks(test_set) if self._has_boxes_and_masks else [])

    def _notes_on_masks(self, test_set: FolderTestSet) -> list[Finding]:
        """The masks of the other splits."""
        assert self.file.masks is not None
        name = f"{self.file.masks.folder}/"
        if not (test_set.folder / name).is_dir():
            message = "not there; needed for the split 'masks' only"
            return [Finding("note", name, message)]
        masks = self.read(test_set.folder, _MASKS)
        usable = f"{len(masks.samples):,} of {len(test_set):,} masks are usable"
        if masks.problems:
            usable += f"; the splits {_OTHER_RULES} read others by these rules"
        level = Finding("note" if masks.problems else "ok", name, usable)
        return [*truth_notes(masks.samples, "mask"), *masks.problems, level]


def _sides(size: tuple[float, float] | None) -> str:
    return " x ".join(f"{side:.6g}" for side in size or ())


def _has_boxes(form: TableForm) -> bool:
    return form.columns.box is not None or form.columns.boxes is not None


def _masks_in(path: Path, form: MasksForm, problems: list[Problem]) -> list[Object]:
    """A sample for each mask of a folder."""
    objects = []
    for file in files_of(path, ["**/*.png"]):
        name = file.relative_to(path).with_suffix("").as_posix()
        try:
            objects.append(Object(place=name, **facts_of({"image": name}, form.derive)))
        except FieldError as error:
            problems.append(Problem(f"{name}: {error}", error.code))
    if not objects and not problems:
        problems.append(Problem("there is no mask here", "E_FILE_EMPTY"))
    return objects


def _read_mask(path: Path, rule: MaskRule, size: tuple[int, int] | None) -> NDArray[np.bool_]:
    """A mask; raises DataError where it is missing, huge, or of another shape than its image."""
    pixels = read_mask(path, rule)
    height, width = pixels.shape
    if max(pixels.shape) > _MAX_MASK:
        problem = f"this mask is larger than {_MAX_MASK} pixels on a side"
        raise DataError(problem, code="E_MASK_SIZE", where=path)
    if size is not None and abs(width * size[1] / (height * size[0]) - 1) > _SAME_SHAPE:
        problem = f"this mask has {width} x {height} pixels, and its image {size[0]} x {size[1]}"
        raise DataError(problem, code="E_IMAGE_SIZE", where=path)
    return pixels


def _size_of(test_set: FolderTestSet, sample_id: str) -> tuple[int, int] | None:
    """Width and height of an image; None where it is not there, or cannot be read."""
    try:
        return image_size(test_set.image_file(sample_id))
    except DataError:
        return None
