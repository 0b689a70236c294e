"""Negative audio: each image with its own sound, silence, noise and a sound from elsewhere.

After Juanola et al. 2024 (arXiv 2410.01020), whose off-screen sounds and noise cannot be
reproduced: here both are fixed by the seed, all four sounds have one preprocessing and all four
maps one resizing. A share of the groups is set apart to find the model's universal threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ssl_bench.errors import ProtocolError
from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.testsets.silent import off_screen_partners
from ssl_bench.trials.grouping import seed_of
from ssl_bench.trials.recipes import AudioRecipe, ImageRecipe, shared_pictures
from ssl_bench.trials.trial import Trial

# Keys of the independent random streams of one seed.
_CALIBRATION, _NOISE = 1, 2


def calibration_groups(groups: Sequence[str], *, share: float, seed: int) -> frozenset[str]:
    """Groups that are set apart: a seeded share (above 0, below 1), at least one, never all."""
    names = sorted(set(groups))
    if len(names) < 2:
        raise ProtocolError(
            "the composition 'negative_audio' needs samples of two groups or more",
            code="E_COMPOSITION_SAMPLES",
        )
    count = min(max(1, round(share * len(names))), len(names) - 1)
    stream = np.random.default_rng(np.random.SeedSequence([seed, _CALIBRATION]))
    return frozenset(names[int(number)] for number in stream.permutation(len(names))[:count])


def compose(
    test_set: TestSet,
    seed: int = 0,
    *,
    calibration_share: Annotated[float, Field(gt=0, lt=1)] = 0.2,
) -> list[Trial]:
    """Four trials (twins) per sample.

    The sample's own sound under its own id (role ``sounding``), then ``ID#silence``, ``ID#noise``
    and ``ID#off-screen``. The off-screen sound is that of a sample of another group that shares no
    category which can sound, on the same side of the calibration split; DataError where there is
    none. The seed chooses noise, partners and the share of the groups that are set apart, whose
    trials have the attribute ``calibration``. Trials take over what a user's own test set says of
    the sample that is seen.
    """
    samples = test_set.samples
    chosen = calibration_groups(
        [sample.group for sample in samples], share=calibration_share, seed=seed
    )
    sides = [sample.group in chosen for sample in samples]
    partners = off_screen_partners(samples, seed=seed, sides=sides)
    shown = shared_pictures(samples)
    return [
        trial
        for sample, partner, aside in zip(samples, partners, sides, strict=True)
        for trial in _quadruple(
            sample,
            partner,
            shown[sample.id],
            seed,
            {**test_set.declared_of(sample), "calibration": aside},
        )
    ]


def _quadruple(
    sample: Sample, partner: Sample, picture: str, seed: int, attributes: Mapping[str, Any]
) -> list[Trial]:
    sounds = {
        "sounding": (AudioRecipe.of(sample.sound), sample.category),
        "silence": (AudioRecipe((sample.sound,), "silence"), "silence"),
        "noise": (AudioRecipe((sample.sound,), "noise", seed_of(seed, _NOISE, sample.id)), "noise"),
        "off-screen": (AudioRecipe.of(partner.sound), partner.category),
    }
    names = {role: sample.id if role == "sounding" else f"{sample.id}#{role}" for role in sounds}
    own = Trial.of(sample, image=ImageRecipe.of(picture), attributes=attributes)
    return [
        replace(
            own,
            id=names[role],
            audio=audio,
            targets=own.targets if role == "sounding" else (),
            category=category,
            role=role,
            twins=tuple(name for other, name in names.items() if other != role),
        )
        for role, (audio, category) in sounds.items()
    ]
