"""Trials of an entry's gallery, and where their pictures and sounds lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ssl_bench.files import sha256_of_json
from ssl_bench.leaderboard.entry import Entry, GalleryTrial
from ssl_bench.scoring.results import TestSetIdentity
from ssl_bench.site.numbers import percent
from ssl_bench.site.pictures import map_address, outline
from ssl_bench.testsets import definition

MEDIA = "media"
PER_PAGE = 6
_KINDS = (("best", "Best"), ("worst", "Worst"), ("random", "Random"))


@dataclass(frozen=True)
class GalleryCard:
    """One trial as it is shown.

    Attributes
    ----------
    trial
        The trial.
    picture, sound
        Paths within the site; empty where there is none to show.
    map
        ``data:`` address; empty where the map is not held.
    outline
        Path of the truth's border, and the size that it is drawn in.
    score
        In percent; empty where the trial has none.
    """

    trial: GalleryTrial
    picture: str
    sound: str
    map: str
    outline: str
    outline_size: tuple[int, int]
    score: str

    @property
    def has_picture(self) -> bool:
        """Whether there is anything to see."""
        return bool(self.picture or self.map or self.outline)

    @property
    def heard(self) -> str:
        """What is played, in words."""
        sound = self.trial.sound
        if sound.kind != "sounds":
            return sound.kind
        return " and ".join(sound.samples)


@dataclass(frozen=True)
class GalleryPage:
    """A few trials that are shown together.

    Attributes
    ----------
    kind, title
        Why they are shown; such as ``best`` and ``Best, 1 to 6``.
    """

    kind: str
    title: str
    cards: tuple[GalleryCard, ...]


def gallery_pages(entry: Entry) -> tuple[GalleryPage, ...]:
    """All trials of an entry's gallery, a few on each page: best, worst, random ones."""
    return tuple(_pages(entry))


def media_folder(test_set: TestSetIdentity) -> str:
    """Folder of a test set's pictures and sounds within the site."""
    return f"{MEDIA}/{test_set.name}-{test_set.split}-{test_set.digest[:12]}"


def picture_path(test_set: TestSetIdentity, trial: GalleryTrial) -> str:
    """Path of what a trial shows, named by its recipe."""
    parts = [[part.sample, *part.placement] for part in trial.image]
    return f"{media_folder(test_set)}/{sha256_of_json(parts)[:20]}.jpg"


def sound_path(test_set: TestSetIdentity, trial: GalleryTrial) -> str:
    """Path of what a trial plays; empty for silence."""
    sound = trial.sound
    if sound.kind == "silence":
        return ""
    recipe = [sound.kind, sound.seed, *sound.samples]
    return f"{media_folder(test_set)}/{sha256_of_json(recipe)[:20]}.flac"


def has_media(test_set: TestSetIdentity) -> bool:
    """Whether pictures and sounds of a test set are made by code, so that they can be shown."""
    return definition(test_set.name).embedded


def _pages(entry: Entry) -> Iterator[GalleryPage]:
    for kind, title in _KINDS:
        chosen = [trial for trial in entry.evidence.gallery if trial.picked == kind]
        for start in range(0, len(chosen), PER_PAGE):
            shown = chosen[start : start + PER_PAGE]
            last = start + len(shown)
            yield GalleryPage(
                kind, f"{title}, {start + 1} to {last} of {len(chosen)}", _cards(entry, shown)
            )


def _cards(entry: Entry, trials: Sequence[GalleryTrial]) -> tuple[GalleryCard, ...]:
    test_set = entry.result.test_set
    seen = has_media(test_set)
    return tuple(
        GalleryCard(
            trial=trial,
            picture=picture_path(test_set, trial) if seen else "",
            sound=sound_path(test_set, trial) if seen else "",
            map="" if trial.map is None else map_address(trial.map),
            outline="" if trial.truth is None else outline(trial.truth),
            outline_size=(1, 1)
            if trial.truth is None
            else (trial.truth.size[1], trial.truth.size[0]),
            score=percent(trial.score),
        )
        for trial in trials
    )
