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
_KINDS = (("best", "Best"), ("worst", "Worst"), ("random", "Random"))
_JPEG_QUALITY = 92
# What decides how a trial looks and sounds.
_MAKERS = ("trials", "testsets", "media", "site/gallery.py")
_LIBRARIES = ("numpy", "pillow", "soundfile")


@dataclass(frozen=True)
class GalleryCard:
    """One trial as it is shown.

    Attributes
    ----------
    picture, sound
        Paths within the site; empty where there is none to show.
    map
        ``data:`` URL; empty where the map is not kept.
    outline, outline_size
        SVG path of the truth's border, and the width and height that it is drawn in.
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
        return " and ".join(sound.samples) if sound.kind == "sounds" else sound.kind


@dataclass(frozen=True)
class GalleryPage:
    """A few trials that are shown together, such as ``Best, 1 to 6 of 12``."""

    kind: str
    title: str
    cards: tuple[GalleryCard, ...]


def gallery_pages(competition: Competition, entry: Entry) -> Iterator[GalleryPage]:
    """All trials of an entry's gallery, a few on each page: best, worst, random ones."""
    for kind, title in _KINDS:
        chosen = [trial for trial in entry.evidence.gallery if trial.picked == kind]
        for start in range(0, len(chosen), _PER_PAGE):
            shown = chosen[start : start + _PER_PAGE]
            yield GalleryPage(
                kind,
                f"{title}, {start + 1} to {start + len(shown)} of {len(chosen)}",
                tuple(_card(competition, entry, trial) for trial in shown),
            )


def _card(competition: Competition, entry: Entry, trial: GalleryTrial) -> GalleryCard:
    seen = competition.embedded and not entry.apart
    picture, sound = media_paths(entry.result.test_set.digest, trial) if seen else ("", "")
    path, size = ("", (1, 1)) if trial.truth is None else _outlined(trial.truth)
    heat = "" if trial.map is None else map_url(trial.map)
    return GalleryCard(trial, picture, sound, heat, path, size, percent(trial.score))


@lru_cache(maxsize=4096)
def _outlined(truth: TruthMask) -> tuple[str, tuple[int, int]]:
    mask = decode_rle({"size": list(truth.size), "counts": truth.counts})
    return outline(mask), (mask.shape[1], mask.shape[0])


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
    """The border of a mask as an SVG path of straight pieces, in pixels of the mask.

    Examples
    --------
    >>> outline(np.array([[True]]))
    'M0 0h1M0 1h1M0 0v1M1 0v1'
    """
    padded = np.pad(mask, 1)
    pieces = []
    for step, edges in (
        ("h", padded[1:, 1:-1] != padded[:-1, 1:-1]),
        ("v", (padded[1:-1, 1:] != padded[1:-1, :-1]).T),
    ):
        changes = np.diff(np.pad(edges.astype(np.int8), ((0, 0), (1, 1))))
        starts, stops = (np.argwhere(changes == sign).tolist() for sign in (1, -1))
        for (line, start), (_, stop) in zip(starts, stops, strict=True):
            x, y = (start, line) if step == "h" else (line, start)
            pieces.append(f"M{x} {y}{step}{stop - start}")
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
