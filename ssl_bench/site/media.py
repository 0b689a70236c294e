"""Pictures and sounds of the embedded world, rendered for the galleries that show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssl_bench.files import atomic_path
from ssl_bench.leaderboard.entry import GalleryTrial
from ssl_bench.results import TestSetIdentity
from ssl_bench.site.board import Board, Competition
from ssl_bench.site.gallery import has_media, picture_path, sound_path

if TYPE_CHECKING:
    from ssl_bench.trials import Trial, TrialSet

_JPEG_QUALITY = 92


def render_media(
    board: Board, site: Path, notify: Callable[[str], None] = lambda _stage: None
) -> set[str]:
    """Render what galleries show and play, where it is not there yet.

    Returns
    -------
    set of str
        Paths within the site of everything that is shown or played.
    """
    needed: set[str] = set()
    for competitions in board.competitions.values():
        for competition in competitions:
            if competition.current:
                needed |= _render(competition, site, notify)
    return needed


def _render(competition: Competition, site: Path, notify: Callable[[str], None]) -> set[str]:
    """Files of one protocol; its trials are composed only where a file is missing."""
    from ssl_bench.compositions import open_trials

    wanted: dict[str, GalleryTrial] = {}
    test_set: TestSetIdentity | None = None
    for entry in competition.entries.values():
        test_set = entry.result.test_set
        if has_media(test_set):
            for trial in entry.evidence.gallery:
                wanted[picture_path(test_set, trial)] = trial
                sound = sound_path(test_set, trial)
                if sound:
                    wanted[sound] = trial
    missing = {path: trial for path, trial in wanted.items() if not (site / path).is_file()}
    if missing and test_set is not None:
        notify(f"rendering pictures and sounds: {competition.folder}")
        trials = open_trials(competition.protocol)
        if trials.test_set.digest == test_set.digest:
            _write(site, missing.items(), trials)
    return set(wanted)


def _write(site: Path, missing: Iterable[tuple[str, GalleryTrial]], trials: TrialSet) -> None:
    for path, shown in missing:
        row = trials.index.get(shown.trial)
        trial = None if row is None else trials.trials[row]
        # An entry that was edited by hand may name trials that there are not.
        if trial is None or not _same(shown, trial):
            continue
        with atomic_path(site / path) as temporary:
            if path.endswith(".jpg"):
                from PIL import Image

                picture = Image.fromarray(trials.image(trial.image))
                picture.save(temporary, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
            else:
                _write_sound(temporary, trial, trials)


def _same(shown: GalleryTrial, trial: Trial) -> bool:
    pictured = tuple((part.sample, part.placement) for part in shown.image)
    recipe = tuple((sample, tuple(placement)) for sample, placement in trial.image.parts)
    heard = (shown.sound.samples, shown.sound.kind, shown.sound.seed)
    return pictured == recipe and heard == (
        trial.audio.samples,
        trial.audio.kind,
        trial.audio.seed,
    )


def _write_sound(path: Path, trial: Trial, trials: TrialSet) -> None:
    import soundfile

    sound = trials.waveform(trial.audio)
    samples = np.clip(np.rint(sound.as_float() * 32767), -32768, 32767).astype(np.int16)
    soundfile.write(path, samples, sound.rate, format="FLAC", subtype="PCM_16")
