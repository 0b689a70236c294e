"""Negative audio: each image with its own sound, silence, noise and a sound from elsewhere.

After Juanola et al. 2024 (arXiv 2410.01020), whose off-screen sounds and noise cannot be
reproduced: here both are fixed by the seed, all four sounds have one preprocessing and all four
maps one resizing. A share of the groups is set apart to find the model's universal threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssl_bench.errors import DataError, ProtocolError
from ssl_bench.testsets.base import Sample
from ssl_bench.testsets.silent import off_screen_partners
from ssl_bench.trials.compositions import refuse_parameters
from ssl_bench.trials.trial import (
    WHOLE,
    AudioRecipe,
    ImageRecipe,
    Target,
    Trial,
    shared_pictures,
)

CALIBRATION_SHARE = 0.2
"""Share of the groups that is set apart unless the protocol says otherwise."""

# Keys of the independent random streams of one seed.
_CALIBRATION, _NOISE = 1, 2


def calibration_groups(groups: Sequence[str], *, share: float, seed: int) -> frozenset[str]:
    """Groups that are set apart: a seeded share, at least one, never all.

    Parameters
    ----------
    groups
        Group names, in any order and number.
    share
        Above 0 and below 1.

    Raises
    ------
    ProtocolError
        If there are fewer than two groups.

    Examples
    --------
    >>> len(calibration_groups(["a", "b", "c", "d", "e", "a"], share=0.2, seed=0))
    1
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise ProtocolError("the composition 'negative_audio' needs samples of two groups or more")
    count = min(max(1, round(share * len(names))), len(names) - 1)
    stream = np.random.default_rng(np.random.SeedSequence([seed, _CALIBRATION]))
    return frozenset(names[int(number)] for number in stream.permutation(len(names))[:count])


def compose(
    samples: Sequence[Sample], *, seed: int = 0, parameters: Mapping[str, Any] | None = None
) -> list[Trial]:
    """Four trials (twins) per sample.

    The sample's own sound under its own id (role ``sounding``), then ``ID#silence``, ``ID#noise``
    and ``ID#off-screen``. The off-screen sound is that of a sample of another group that shares no
    category which can sound, on the same side of the calibration split.

    Parameters
    ----------
    samples
        The test set's samples.
    seed
        Chooses noise, off-screen partners and the groups that are set apart.
    parameters
        ``calibration_share``: share of the groups whose trials have the attribute ``calibration``;
        0.2 by default.

    Raises
    ------
    ProtocolError
        If a parameter is unknown or out of range, or a sample has no partner.
    """
    settings = dict(parameters or {})
    share = settings.pop("calibration_share", CALIBRATION_SHARE)
    refuse_parameters("negative_audio", settings)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise ProtocolError(
            f"the composition 'negative_audio' needs 0 < calibration_share < 1, not {share!r}"
        )
    chosen = calibration_groups([sample.group for sample in samples], share=share, seed=seed)
    sides = [sample.group in chosen for sample in samples]
    try:
        partners = off_screen_partners(samples, seed=seed, sides=sides)
    except DataError as error:
        raise ProtocolError(error.problem, remedy=error.remedy) from error
    shown = shared_pictures(samples)
    return [
        trial
        for sample, partner, aside in zip(samples, partners, sides, strict=True)
        for trial in _quadruple(sample, partner, shown[sample.id], seed, aside)
    ]


def _quadruple(
    sample: Sample, partner: Sample, picture: str, seed: int, aside: bool
) -> list[Trial]:
    sounds = {
        "sounding": (AudioRecipe.of(sample.sound), sample.category),
        "silence": (AudioRecipe((sample.sound,), "silence"), "silence"),
        "noise": (AudioRecipe((sample.sound,), "noise", _noise_seed(sample.id, seed)), "noise"),
        "off-screen": (AudioRecipe.of(partner.sound), partner.category),
    }
    names = {role: sample.id if role == "sounding" else f"{sample.id}#{role}" for role in sounds}
    return [
        Trial(
            id=names[role],
            image=ImageRecipe(((picture, WHOLE),)),
            audio=audio,
            targets=(Target(sample.id, WHOLE),) if role == "sounding" else (),
            group=sample.group,
            category=category,
            role=role,
            twins=tuple(name for other, name in names.items() if other != role),
            attributes={"calibration": aside},
        )
        for role, (audio, category) in sounds.items()
    ]


def _noise_seed(identifier: str, seed: int) -> int:
    """Seed of one sample's noise, whatever its place in the list."""
    key = np.random.SeedSequence([seed, _NOISE, *identifier.encode()])
    return int(key.generate_state(1)[0])
