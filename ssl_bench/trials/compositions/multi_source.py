"""Several sources in one picture: some of its objects sound together, the others are silent.

From samples with one capable object each, scenes are made as MUSIC-Synthetic is (Hu et al. 2020,
section 4.1): a mosaic of two by two of different categories, two of which sound. A test set of
scenes (samples that share the attribute ``image`` and one sound) is taken as it is; one that plays
the sources of a picture apart, such as IS3, has no sound of several sources and is refused.

Two questions can be asked. ``targets = "class"``: where is each category? There is one trial
``SCENE#CATEGORY`` for each category that is annotated as sounding and, without targets, for each
that is silent; all have the same picture and sound. A method that tells categories apart answers
each with that category's map (:meth:`ssl_bench.models.contract.Localizer.class_maps`, or its
predictions file); any other gives the same map for all. ``targets = "union"``: where
does anything sound? There is one trial ``SCENE``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ssl_bench.errors import ProtocolError
from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.trials.grouping import asked_for, joined_groups, seeded_groups
from ssl_bench.trials.recipes import (
    WHOLE,
    AudioRecipe,
    ImageRecipe,
    Placement,
    Target,
    shared_pictures,
)
from ssl_bench.trials.trial import Trial

TILES = (
    Placement(0.0, 0.0, 0.5, 0.5),
    Placement(0.0, 0.5, 0.5, 1.0),
    Placement(0.5, 0.0, 1.0, 0.5),
    Placement(0.5, 0.5, 1.0, 1.0),
)
"""Top left, top right, bottom left, bottom right."""

SOUNDING = 2
"""Tiles of a mosaic that sound."""


@dataclass(frozen=True)
class Scene:
    """One picture with several sources: the targets that sound by category, and silent ones."""

    id: str
    image: ImageRecipe
    audio: AudioRecipe
    targets: Mapping[str, tuple[Target, ...]]
    silent: tuple[str, ...]
    group: str


def mosaics(samples: Sequence[Sample], seed: int) -> list[Scene]:
    """Seeded mosaics of samples with one capable object, of different categories and groups."""
    usable = [sample for sample in samples if len(_capable(sample)) == 1]
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(TILES)]))
    complete = seeded_groups(usable, len(TILES), _fit, rng)
    groups = joined_groups(complete)
    return [_mosaic(members, groups[members[0].group], rng) for members in complete]


def _capable(sample: Sample) -> set[str]:
    return set(sample.categories) or {sample.category}


def _fit(one: Sample, other: Sample) -> bool:
    return one.group != other.group and not _capable(one) & _capable(other)


def _mosaic(members: Sequence[Sample], group: str, rng: np.random.Generator) -> Scene:
    tiles = list(zip(members, TILES, strict=True))
    chosen = sorted(rng.permutation(len(TILES))[:SOUNDING].tolist())
    sounding = [tiles[number] for number in chosen]
    audible = [member.id for member, _ in sounding]
    return Scene(
        id="|".join(member.id for member in members),
        image=ImageRecipe(tuple((member.id, tile) for member, tile in tiles)),
        audio=AudioRecipe(tuple(member.sound for member, _ in sounding)),
        targets={member.category: (Target(member.id, tile),) for member, tile in sounding},
        silent=tuple(member.category for member in members if member.id not in audible),
        group=group,
    )


def ready_scenes(samples: Sequence[Sample]) -> list[Scene]:
    """Scenes that the test set brings: its samples are the sounding categories of its pictures.

    Silent are all categories of the test set that are not annotated in the picture. ProtocolError
    if the sources of a picture do not share their sound: then none plays all of them.
    """
    shown = shared_pictures(samples)
    members: dict[str, list[Sample]] = {}
    for sample in samples:
        members.setdefault(shown[sample.id], []).append(sample)
    everything = sorted({sample.category for sample in samples})
    scenes = []
    for picture, sources in members.items():
        if len({source.sound for source in sources}) > 1:
            raise ProtocolError(
                "the sources of this picture have one sound each, and none of them together",
                code="E_COMPOSITION_SAMPLES",
                where=f"picture {sources[0].attributes['image']}",
                remedy="use the protocol interactive, or a test set of mixed sounds, such as "
                "music-synthetic",
            )
        targets: dict[str, tuple[Target, ...]] = {}
        for source in sources:
            found = targets.get(source.category, ())
            targets[source.category] = (*found, Target(source.id, WHOLE))
        scenes.append(
            Scene(
                id=str(sources[0].attributes["image"]),
                image=ImageRecipe.of(picture),
                audio=AudioRecipe.of(sources[0].sound),
                targets=targets,
                silent=tuple(name for name in everything if name not in targets),
                group=sources[0].group,
            )
        )
    return scenes


def compose(
    test_set: TestSet,
    seed: int = 0,
    *,
    targets: Literal["class", "union"] = "class",
    scenes: Annotated[int, Field(ge=1)] | None = None,
) -> list[Trial]:
    """The trials of all scenes, or of the first `scenes`; `targets` is the question of the module.

    The seed chooses what is in a mosaic, and which of it sounds. Trials of a category that sounds
    take over what a user's own test set says of its sample. ProtocolError if no scene can
    be made, or the sources of a picture do not share their sound.
    """
    samples = test_set.samples
    composed = bool(samples) and all("image" in sample.attributes for sample in samples)
    made = ready_scenes(samples) if composed else mosaics(samples, seed)
    if not made:
        raise ProtocolError(
            "no mosaic can be made of these samples",
            code="E_COMPOSITION_SAMPLES",
            remedy="it takes four samples of different categories, with one capable object each",
        )
    told = {sample.id: test_set.declared_of(sample) for sample in samples}
    wanted = asked_for(made, scenes, "scenes")
    if targets == "union":
        return [trial for scene in wanted for trial in _of_union(scene)]
    return [trial for scene in wanted for trial in _of_classes(scene, told)]


def _of_classes(scene: Scene, told: Mapping[str, dict[str, Any]]) -> list[Trial]:
    return [
        Trial(
            id=f"{scene.id}#{category}",
            image=scene.image,
            audio=scene.audio,
            targets=scene.targets.get(category, ()),
            group=scene.group,
            category=category,
            role="sounding" if category in scene.targets else "silent",
            attributes=next((told[each.sample] for each in scene.targets.get(category, ())), {}),
            asked=category,
        )
        for category in (*scene.targets, *scene.silent)
    ]


def _of_union(scene: Scene) -> list[Trial]:
    union = Trial(
        id=scene.id,
        image=scene.image,
        audio=scene.audio,
        targets=tuple(target for found in scene.targets.values() for target in found),
        group=scene.group,
        category="+".join(sorted(scene.targets)),
    )
    return [union]
