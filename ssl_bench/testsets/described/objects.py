"""From objects that an annotation names to samples: what sounds together in a picture is one."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, TypedDict

import numpy as np

from ssl_bench.errors import Problem
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Annotation, Boxes, Mask
from ssl_bench.testsets.base import UNLABELLED, Sample
from ssl_bench.testsets.identifiers import NAME_RULE, is_name
from ssl_bench.testsets.tables import Corners, repeated

UNKNOWN = (0.0, 0.0)
"""The frame of boxes in pixels of a picture whose size is not stated."""

_NO_WORD = re.compile(r"[^A-Za-z0-9-]+")


class Facts(TypedDict):
    """What names and columns tell of an object; empty what they do not."""

    image: str
    sound: str
    id: str
    picture: str
    group: str
    category: str
    mask: str  # name of a mask file


@dataclass(frozen=True, eq=False, slots=True)
class Object:
    """One line of an annotation; a fact that it does not tell is empty."""

    place: str  # where it stands, for messages
    image: str
    sound: str  # empty where it is silent
    category: str = UNLABELLED
    id: str = ""
    picture: str = ""
    group: str = ""
    mask: str = ""
    corners: Sequence[Corners] = ()
    frame: tuple[float, float] = (1.0, 1.0)
    sized: bool = False  # whether the frame is the picture, in its pixels
    annotator: str = ""  # who drew it
    drawn: Mask | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Assembled:
    """Samples, and what is wrong."""

    samples: Sequence[Sample]
    problems: Sequence[Problem]
    objects: Mapping[str, Sequence[Object]]  # of each sample, by its id; empty where not known
    # Names of images and sounds by sample id.
    images: Mapping[str, str]
    sounds: Mapping[str, str]
    convention: TruthConvention | None = None

    def place_of(self, sample_id: str) -> str:
        """Where a sample stands in the annotation."""
        known = self.objects.get(sample_id)
        return known[0].place if known else sample_id

    def frame_of(self, sample_id: str) -> tuple[float, float] | None:
        """Size of a sample's picture as the annotation states it; None where it states none."""
        known = self.objects.get(sample_id)
        return known[0].frame if known and known[0].sized else None


def assemble(
    objects: Sequence[Object], *, once: bool = False, never_heard: Iterable[str] = ()
) -> Assembled:
    """Samples of all objects that sound, in the order of the annotation.

    Objects of one image, category and sound are one sample, unless they have ids. `once` says that
    each object is a sample of its own. Objects without a sound are seen only; their categories are
    to be among those `never_heard`, or to sound elsewhere.
    """
    heard = {each.category for each in objects if each.sound} | {*never_heard}
    problems = [
        Problem(
            f"{each.place}: nothing of the category {each.category!r} has a sound; name its sound, "
            f"or write never_heard = [{json.dumps(each.category, ensure_ascii=False)}] in "
            "[annotation] of testset.toml",
            "E_SILENT",
        )
        for each in objects
        if not each.sound and each.category not in heard
    ]
    sounding = [each for each in objects if each.sound]
    named = _by_id(sounding, once, problems)
    seen: dict[str, set[str]] = {}
    for each in objects:
        seen.setdefault(each.picture or each.image, set()).add(each.category)
    by_image = Counter(members[0].image for members in named.values())
    shared = not once and any(count > 1 for count in by_image.values())
    sounds_of: dict[tuple[str, str], set[str]] = {}
    first: dict[str, str] = {}
    for identifier, members in named.items():
        one = members[0]
        sounds_of.setdefault((one.picture or one.image, one.sound), set()).add(one.category)
        first.setdefault(one.sound, identifier)
    values = _attributes(named)
    annotations = _annotations(list(named.values()))
    samples = []
    for (identifier, members), annotation in zip(named.items(), annotations, strict=True):
        one = members[0]
        picture = one.picture or (one.image if shared else "")
        capable = seen[one.picture or one.image] - {UNLABELLED}
        attributes: dict[str, Any] = {"image": picture} if picture else {}
        if shared:
            together = sounds_of[one.picture or one.image, one.sound]
            attributes |= {"type": "A" if capable == together else "B", "n_capable": len(capable)}
        samples.append(
            Sample(
                id=identifier,
                group=one.group or picture or identifier,
                category=one.category,
                annotation=annotation,
                categories=tuple(sorted(capable)),
                attributes={**attributes, **values[identifier]},
                sound_of=None if first[one.sound] == identifier else first[one.sound],
            )
        )
    images = {identifier: members[0].image for identifier, members in named.items()}
    sounds = {identifier: members[0].sound for identifier, members in named.items()}
    return Assembled(samples, problems, named, images, sounds)


def _by_id(
    objects: Sequence[Object], once: bool, problems: list[Problem]
) -> dict[str, list[Object]]:
    """The objects of each sample, by its id."""
    if once:
        ids = [each.id or _leaf(each.image) for each in objects]
        problems += repeated(ids)
        return {identifier: [each] for identifier, each in zip(ids, objects, strict=True)}
    parts: dict[tuple[str, ...], list[Object]] = {}
    drawn: dict[tuple[object, ...], Object] = {}
    for each in objects:
        key = (each.id,) if each.id else (each.image, each.category, each.sound)
        members = parts.setdefault(key, [])
        members.append(each)
        one = members[0]
        differs = next((name for name in _SAME if getattr(each, name) != getattr(one, name)), "")
        drawing = (key, each.annotator, *each.corners)
        known = drawn.setdefault(drawing, each) if each.corners else each
        if differs or known is not each:
            text = f"differs from {one.place} in {differs}" if differs else f"repeats {known.place}"
            problems.append(Problem(f"{each.place}: it {text}", "E_ID_REPEATED"))
    counts = Counter(members[0].image for members in parts.values())
    named: dict[str, list[Object]] = {}
    numbers = Counter[str]()
    for members in parts.values():
        one = members[0]
        identifier = one.id or _leaf(one.image)
        if not one.id and counts[one.image] > 1:
            identifier += f".{_NO_WORD.sub('_', one.category)}"
            numbers[f"{one.image}.{identifier}"] += 1
            count = numbers[f"{one.image}.{identifier}"]
            identifier += f"-{count}" if count > 1 else ""
        if not is_name(identifier):
            problems.append(Problem(f"{one.place}: {identifier!r}: {NAME_RULE}", "E_ID"))
        elif identifier in named:
            text = f"{one.place}: {identifier!r} is the id of {named[identifier][0].place}, too"
            problems.append(Problem(f"{text}; give ids", "E_ID_REPEATED"))
        named.setdefault(identifier, members)
    return named


_SAME = ("image", "sound", "category", "picture", "group", "attributes")


def _leaf(path: str) -> str:
    return path.rpartition("/")[2]


def _attributes(named: Mapping[str, Sequence[Object]]) -> dict[str, dict[str, Any]]:
    """The attributes of each sample; a column of whole numbers holds numbers."""
    found = {identifier: dict(members[0].attributes) for identifier, members in named.items()}
    for name in {name for attributes in found.values() for name in attributes}:
        texts = [each[name] for each in found.values()]
        if all(isinstance(text, str) and re.fullmatch(r"-?[0-9]{1,9}", text) for text in texts):
            for each in found.values():
                each[name] = int(each[name])
    return found


def _annotations(parts: Sequence[Sequence[Object]]) -> Iterable[Annotation]:
    """Boxes and masks of each sample.

    One array holds all boxes, of which each sample has some rows: one of its own takes far more.
    """
    boxes = [[box for each in members for box in each.corners] for members in parts]
    corners = np.array([box for some in boxes for box in some], np.float64).reshape(-1, 4)
    ends = accumulate(map(len, boxes), initial=0)
    for members, (start, end) in zip(parts, pairwise(ends), strict=True):
        drawn = [each.drawn for each in members if each.drawn is not None]
        people = len({each.annotator for each in members})
        own = Boxes(corners[start:end], members[0].frame, people)
        if not drawn:
            yield own
            continue
        mask = drawn[0]
        for other in drawn[1:]:
            mask = Mask(mask.pixels | other.pixels)
        mask.boxes = own if start < end else None
        yield mask
