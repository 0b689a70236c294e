"""Audio-visual maps mixed with those of an object prior, and the mix taken apart again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.measures.interpolation import upsample
from ssl_bench.models.recipes import ObjectGuidance, Range

EZ_VSL_GUIDANCE = ObjectGuidance()
"""Weight, up-sampling and normalisation in all scripts of EZ-VSL, and in those of FNAC."""


def mix(
    audio_visual: NDArray[np.float32],
    prior: NDArray[np.float32],
    alpha: float,
    guidance: ObjectGuidance = EZ_VSL_GUIDANCE,
) -> NDArray[np.float32]:
    """Mix maps on the scale that each has after up-sampling to the grid of `guidance`.

    The mix is given on that grid, except for one case: where both maps have equal grids, and
    up-sampling is bilinear with aligned corners as in the protocols, it is given on theirs.
    Up-sampling is linear, so that enlarging it is the published mix, up to a last min-max
    normalisation, which protocols do. Under min-max normalisation a flat map contributes nothing.

    ``(B, h, w)`` or ``(B, grid, grid)`` float32, of ``(B, h, w)`` and ``(B, h', w')`` float32.
    `alpha` is the weight of the audio-visual maps, in [0, 1]; that of `guidance` is not read.

    Examples
    --------
    >>> left = np.array([[[1.0, 0.0]]], np.float32)
    >>> mix(left, 5 * left[:, :, ::-1], 0.25).tolist()
    [[[0.25, 0.75]]]
    """
    keep_grid = audio_visual.shape == prior.shape and guidance.upsampling == "bilinear-corners"
    heard, seen = (
        _scaled(maps, keep_grid, guidance, fixed)
        for maps, fixed in (
            (audio_visual, guidance.audio_visual_range),
            (prior, guidance.prior_range),
        )
    )
    mixed: NDArray[np.float32] = alpha * heard + (1 - alpha) * seen
    return mixed


def unmix(
    mixed: NDArray[np.float32],
    prior: NDArray[np.float32],
    alpha: float,
    guidance: ObjectGuidance = EZ_VSL_GUIDANCE,
) -> NDArray[np.float32]:
    """The audio-visual maps of a mix with a known prior, up to their scale.

    As :func:`mix`, with the mix in place of the audio-visual maps, and `alpha` above 0; they are
    given on the grid of the mix.

    Examples
    --------
    >>> left, right = np.array([[[1.0, 0.0]]], np.float32), np.array([[[0.0, 5.0]]], np.float32)
    >>> unmix(mix(left, right, 0.25), right, 0.25).tolist()
    [[[1.0, 0.0]]]
    """
    keep_grid = mixed.shape == prior.shape and guidance.upsampling == "bilinear-corners"
    seen = _scaled(prior, keep_grid, guidance, guidance.prior_range)
    return ((mixed - (1 - alpha) * seen) / alpha).astype(np.float32)


def _scaled(
    maps: NDArray[np.float32], keep_grid: bool, guidance: ObjectGuidance, fixed: Range | None
) -> NDArray[np.float32]:
    """Maps on a common scale: that of a fixed range, or else each map's own after up-sampling."""
    if fixed is not None:
        low, high = np.float32(fixed[0]), np.float32(fixed[1])
        return ((maps if keep_grid else _enlarged(maps, guidance)) - low) / (high - low)
    enlarged = _enlarged(maps, guidance)
    low = enlarged.min(axis=(1, 2), keepdims=True)
    span = enlarged.max(axis=(1, 2), keepdims=True) - low
    flat = span == 0
    scaled = ((maps if keep_grid else enlarged) - low) / np.where(flat, np.float32(1), span)
    unit: NDArray[np.float32] = np.where(flat, np.float32(0), scaled)
    return unit


def _enlarged(maps: NDArray[np.float32], guidance: ObjectGuidance) -> NDArray[np.float32]:
    return np.stack([upsample(heat, guidance.grid, guidance.upsampling) for heat in maps])
