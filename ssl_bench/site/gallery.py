"""Trials of an entry's gallery: their maps and truth, and pictures and sounds of embedded ones."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.executors import processes
from ssl_bench.files import atomic_path, digest_of_code, sha256_of_json
from ssl_bench.leaderboard.assessment import GalleryTrial, ShownMap, TruthMask
from ssl_bench.leaderboard.board import Board, Competition, Entry
from ssl_bench.leaderboard.submissions import protocol_of_folder
from ssl_bench.site.rendering import percent
from ssl_bench.testsets.truth import decode_rle

MEDIA = "media"
_PER_PAGE = 6
KINDS = (
    ("best", "Best"),
    ("worst", "Worst"),
    ("gained", "Most gained by sound"),
    ("random", "Random"),
)
_JPEG_QUALITY = 92
# What decides how a trial looks and sounds.
_MAKERS = ("trials", "testsets", "media", "site/gallery.py")
_LIBRARIES = ("numpy", "pillow", "soundfile")


@dataclass(frozen=True)
class Outline:
    """Border of a mask as an SVG path, and the size that it is drawn in."""

    path: str
    width: int
    height: int


@dataclass(frozen=True)
class View:
    """One map on the picture of a trial.

    Attributes
    ----------
    kind
        ``heard`` or ``blind``.
    map
        ``data:`` URL; empty where the map is not kept.
    predicted
        The pixels that are scored; None where they are not kept.
    score
        In percent; empty where the trial has none.
    """

    kind: str
    map: str
    predicted: Outline | None
    score: str


@dataclass(frozen=True)
class GalleryCard:
    """One trial as it is shown.

    Attributes
    ----------
    picture, sound
        Paths within the site; empty where there is none to show.
    truth
        None where it may not be shown, or nothing sounds.
    views
        With the sound, and without it where there is such a map.
    """

    trial: GalleryTrial
    picture: str
    sound: str
    truth: Outline | None
    views: tuple[View, ...]

    @property
    def has_picture(self) -> bool:
        """Whether there is anything to see."""
        return bool(self.picture or self.views[0].map or self.truth)

    @property
    def heard(self) -> str:
        """What is played, in words."""
        sound = self.trial.sound
        return " and ".join(sound.samples) if sound.kind == "sounds" else sound.kind


@dataclass(frozen=True)
class GalleryPage:
    """A few trials that are shown together, such as ``Best, 1 to 6 of 12``."""

    kind: str
    number: int
    title: str
    cards: tuple[GalleryCard, ...]


def gallery_pages(competition: Competition, entry: Entry) -> Iterator[GalleryPage]:
    """All trials of an entry's gallery, a few on each page: best, worst, random ones."""
    number = 0
    for kind, title in KINDS:
        chosen = [trial for trial in entry.evidence.gallery if trial.picked == kind]
        for start in range(0, len(chosen), _PER_PAGE):
            shown = chosen[start : start + _PER_PAGE]
            number += 1
            yield GalleryPage(
                kind,
                number,
                f"{title}, {start + 1} to {start + len(shown)} of {len(chosen)}",
                tuple(_card(competition, entry, trial) for trial in shown),
            )


def _card(competition: Competition, entry: Entry, trial: GalleryTrial) -> GalleryCard:
    seen = competition.embedded and not entry.apart
    picture, sound = media_paths(entry.result.test_set.digest, trial) if seen else ("", "")
    views = [
        View(
            "heard",
            "" if trial.map is None else map_url(trial.map),
            _outlined(trial.predicted),
            percent(trial.score),
        )
    ]
    if trial.without_sound is not None:
        blind = trial.without_sound
        views.append(
            View("blind", map_url(blind.map), _outlined(blind.predicted), percent(blind.score))
        )
    return GalleryCard(trial, picture, sound, _outlined(trial.truth), tuple(views))


@lru_cache(maxsize=4096)
def _outlined(truth: TruthMask | None) -> Outline | None:
    if truth is None:
        return None
    mask = decode_rle({"size": list(truth.size), "counts": truth.counts})
    return Outline(outline(mask), mask.shape[1], mask.shape[0])


def map_url(shown: ShownMap) -> str:
    """A map from its own minimum to its own maximum as a ``data:`` URL of a PNG in cividis.

    People with and without colour vision deficiency read cividis alike.

    Examples
    --------
    >>> map_url(ShownMap.of(np.array([[0.0, 0.5]])))[:32]
    'data:image/png;base64,iVBORw0KGg'
    """
    from PIL import Image

    values = shown.array().astype(np.float64)
    spread = float(np.ptp(values)) or 1.0
    levels = np.rint(255 * (values - values.min()) / spread).astype(np.uint8)
    picture = Image.fromarray(levels).convert("P")
    picture.putpalette(_palette())
    content = io.BytesIO()
    picture.save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


@cache
def _palette() -> bytes:
    from matplotlib import colormaps

    return bytes(colormaps["cividis"](np.arange(256), bytes=True)[:, :3].tobytes())


def outline(mask: NDArray[np.bool_]) -> str:
    """The border of a mask as an SVG path of closed lines, in pixels of the mask.

    Examples
    --------
    >>> outline(np.array([[True]]))
    'M0 0h1v1h-1z'
    """
    # Straight runs by where they start, the inside always on their right; axes alternate. Where
    # two pixels touch by a corner, two runs of an axis start.
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.int8)
    padded[1:-1, 1:-1] = mask
    runs: dict[str, dict[tuple[int, int], list[int]]] = {}
    for axis, signs in (
        ("h", padded[1:, 1:-1] - padded[:-1, 1:-1]),
        ("v", (padded[1:-1, :-1] - padded[1:-1, 1:]).T),
    ):
        held = runs[axis] = {}
        border = np.zeros((signs.shape[0], signs.shape[1] + 2), np.int8)
        for sign in (1, -1):
            border[:, 1:-1] = signs == sign
            changes = border[:, 1:] - border[:, :-1]
            lines, starts = (each.tolist() for each in np.nonzero(changes == 1))
            stops = np.nonzero(changes == -1)[1].tolist()
            for line, first, last in zip(lines, starts, stops, strict=True):
                at = first if sign > 0 else last
                place = (at, line) if axis == "h" else (line, at)
                held.setdefault(place, []).append(sign * (last - first))
    pieces = []
    while runs["h"]:
        x, y = start = next(iter(runs["h"]))
        path, axis = f"M{x} {y}", "h"
        while (steps := runs[axis].get((x, y))) is not None:
            step = steps.pop()
            if not steps:
                del runs[axis][x, y]
            x, y = (x + step, y) if axis == "h" else (x, y + step)
            if (x, y) == start and axis == "v":
                break
            path += f"{axis}{step}"
            axis = "v" if axis == "h" else "h"
        pieces.append(f"{path}z")
    return "".join(pieces)


def media_paths(test_set_digest: str, trial: GalleryTrial) -> tuple[str, str]:
    """Paths of what a trial shows and plays, named by all that they depend on; silence has none."""
    made = [test_set_digest, digest_of_code(_MAKERS, libraries=_LIBRARIES)]
    parts = [[part.sample, *part.placement] for part in trial.image]
    sound = trial.sound
    heard = [sound.kind, sound.seed, *sound.samples]
    picture, recording = (sha256_of_json([*made, *each])[:20] for each in (parts, heard))
    return (
        f"{MEDIA}/{picture}.jpg",
        "" if sound.kind == "silence" else f"{MEDIA}/{recording}.flac",
    )


def write_media(board: Board, site: Path, jobs: int, notify: Callable[[str], None]) -> set[str]:
    """Render the pictures and sounds that are not there yet.

    Returns
    -------
    set of str
        All that galleries need, by path within the site.
    """
    wanted: set[str] = set()
    due: dict[str, dict[str, str]] = {}
    for folder, competition in board.competitions.items():
        for entry in competition.entries.values():
            if not competition.embedded or entry.apart:
                continue
            for trial in entry.evidence.gallery:
                for path in filter(None, media_paths(entry.result.test_set.digest, trial)):
                    if path not in wanted and not (site / path).is_file():
                        due.setdefault(folder, {})[path] = trial.trial
                    wanted.add(path)
    if due:
        notify(f"rendering pictures and sounds: {sum(map(len, due.values())):,}")
        with processes(min(jobs, len(due))).open(partial(_renderer, site)) as run:
            for _ in run([(folder, list(paths.items())) for folder, paths in due.items()]):
                pass
    return wanted


def _renderer(
    site: Path, _device: str | None
) -> Callable[[tuple[str, Sequence[tuple[str, str]]]], None]:
    return lambda part: _render(part[0], site, part[1])


def _render(folder: str, site: Path, due: Sequence[tuple[str, str]]) -> None:
    """Write pictures and sounds of one protocol, each named with the trial that has it."""
    from ssl_bench.trials.compositions import open_trials

    trials = open_trials(protocol_of_folder(folder))
    for path, name in due:
        trial = trials.trials[trials.index[name]]
        with atomic_path(site / path) as temporary:
            if path.endswith(".jpg"):
                _write_picture(temporary, trials.image(trial.image))
            else:
                _write_sound(temporary, trials.waveform(trial.audio))


def _write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path, "JPEG", quality=_JPEG_QUALITY, subsampling=0)


def _write_sound(path: Path, sound: Any) -> None:
    import soundfile

    samples = np.clip(np.rint(sound.as_float() * 32767), -32768, 32767).astype(np.int16)
    soundfile.write(path, samples, sound.rate, format="FLAC", subtype="PCM_16")
