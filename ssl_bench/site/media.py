"""Pictures and sounds of the embedded world, rendered for the galleries that show them."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ssl_bench.files import digest_of_code
from ssl_bench.leaderboard.entry import GalleryTrial
from ssl_bench.scoring.results import TestSetIdentity
from ssl_bench.site.board import Board, Competition
from ssl_bench.site.gallery import has_media, picture_path, sound_path

if TYPE_CHECKING:
    from ssl_bench.trials.trial import Trial, TrialSet

_JPEG_QUALITY = 92
# What decides how a trial looks and sounds, within the package.
_MAKERS = ("trials", "testsets", "media", "site/media.py")
_LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "scipy", "soundfile")


@dataclass(frozen=True, eq=False)
class Wanted:
    """A picture or a sound that a gallery needs.

    Attributes
    ----------
    competition
        Whose entry shows it.
    test_set
        What that entry was measured on.
    trial
        The trial that it is of.
    """

    competition: Competition
    test_set: TestSetIdentity
    trial: GalleryTrial


def wanted_media(board: Board) -> dict[str, Wanted]:
    """Pictures and sounds that the galleries of a board need, by path within the site."""
    wanted: dict[str, Wanted] = {}
    for competitions in board.competitions.values():
        for competition in competitions:
            if not competition.current:
                continue
            for entry in competition.entries.values():
                test_set = entry.result.test_set
                for trial in entry.evidence.gallery if has_media(test_set) else ():
                    each = Wanted(competition, test_set, trial)
                    wanted[picture_path(test_set, trial)] = each
                    sound = sound_path(test_set, trial)
                    if sound:
                        wanted[sound] = each
    return wanted


def render_media(
    wanted: Mapping[str, Wanted],
    paths: Collection[str],
    notify: Callable[[str], None] = lambda _stage: None,
) -> Iterator[tuple[str, bytes]]:
    """Render pictures and sounds; each protocol's trials are composed once.

    Parameters
    ----------
    wanted
        Everything that galleries need.
    paths
        Which of it.
    notify
        Called with a short text at the start of each stage.

    Yields
    ------
    (str, bytes)
        Path within the site, and content. One that no trial has, because an entry was edited by
        hand, is left out.
    """
    from ssl_bench.trials.compositions import open_trials

    grouped: dict[Competition, list[str]] = {}
    for path in sorted(paths):
        grouped.setdefault(wanted[path].competition, []).append(path)
    for competition, chosen in grouped.items():
        notify(f"rendering pictures and sounds: {competition.folder}")
        trials = open_trials(competition.protocol)
        for path in chosen:
            each = wanted[path]
            row = trials.index.get(each.trial.trial)
            if row is None or each.test_set.digest != trials.test_set.digest:
                continue
            trial = trials.trials[row]
            if _same(each.trial, trial):
                yield (
                    path,
                    _picture(trial, trials) if path.endswith(".jpg") else _sound(trial, trials),
                )


def makers_digest() -> str:
    """SHA-256 over the code and the libraries that decide how pictures and sounds come out."""
    return digest_of_code(_MAKERS, libraries=_LIBRARIES)


def _same(shown: GalleryTrial, trial: Trial) -> bool:
    pictured = tuple((part.sample, part.placement) for part in shown.image)
    recipe = tuple((sample, tuple(placement)) for sample, placement in trial.image.parts)
    heard = (shown.sound.samples, shown.sound.kind, shown.sound.seed)
    return pictured == recipe and heard == (
        trial.audio.samples,
        trial.audio.kind,
        trial.audio.seed,
    )


def _picture(trial: Trial, trials: TrialSet) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    picture = Image.fromarray(trials.image(trial.image))
    picture.save(content, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return content.getvalue()


def _sound(trial: Trial, trials: TrialSet) -> bytes:
    import soundfile

    sound = trials.waveform(trial.audio)
    samples = np.clip(np.rint(sound.as_float() * 32767), -32768, 32767).astype(np.int16)
    content = io.BytesIO()
    soundfile.write(content, samples, sound.rate, format="FLAC", subtype="PCM_16")
    return content.getvalue()
