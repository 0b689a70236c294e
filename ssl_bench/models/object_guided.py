"""Object-guided localization: any localizer mixed with an audio-blind object prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ssl_bench.errors import ModelError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.provenance import Provenance, provenance_of

DEFAULT_ALPHA = 0.4
"""Weight of the audio-visual map in all of the authors' scripts."""

_GRID = 224
_AUDIO_VISUAL = "audio_visual."
_PRIOR = "prior."


class ObjectGuided(Localizer):
    """Object-guided localization of EZ-VSL (paper section 3.3, equation 9).

    The mix is ``alpha * minmax(up(M)) + (1 - alpha) * minmax(up(P))`` of the audio-visual map M and
    the prior's map P, where ``up`` is bilinear with aligned corners to 224x224. The similarity is
    that of the audio-visual model alone.

    Parameters
    ----------
    audio_visual
        A localizer that hears.
    prior
        An audio-blind localizer.
    alpha
        Weight of the audio-visual map, in [0, 1].

    Raises
    ------
    ModelError
        If `alpha` is out of range, or the prior is not audio-blind.
    """

    def __init__(
        self, audio_visual: Localizer, prior: Localizer, alpha: float = DEFAULT_ALPHA
    ) -> None:
        if not 0 <= alpha <= 1:
            raise ModelError(
                f"alpha is {alpha}, and must lie between 0 (prior alone) and 1 (no prior)",
                remedy=f"the published value is {DEFAULT_ALPHA}",
            )
        if not prior.audio_blind:
            raise ModelError(
                f"{prior.name} listens, and cannot serve as an object prior",
                remedy="use an audio-blind localizer such as ogl-l1",
            )
        self.name = f"{audio_visual.name}+{prior.name}"
        self.preset = audio_visual.preset
        self.audio_blind = audio_visual.audio_blind
        self.provenance = Provenance(
            self.name,
            preset=self.preset,
            alpha=alpha,
            parts=(provenance_of(audio_visual), provenance_of(prior)),
        )
        self._audio_visual = audio_visual
        self._prior = prior
        self._alpha = alpha

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features of both localizers, told apart by a prefix."""
        heard, seen = self._audio_visual.encode_image(images), self._prior.encode_image(images)
        return {
            **{_AUDIO_VISUAL + key: rows for key, rows in heard.items()},
            **{_PRIOR + key: rows for key, rows in seen.items()},
        }

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Features of the audio-visual localizer."""
        return self._audio_visual.encode_audio(sounds)

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Mixed maps; see :func:`mix`."""
        return mix(
            self._audio_visual.localize(_part(image_features, _AUDIO_VISUAL), audio_features),
            self._prior_map(image_features),
            self._alpha,
        )

    @property
    def no_similarity(self) -> str | None:
        """Why there is no similarity; None where the audio-visual localizer has one."""
        return self._audio_visual.no_similarity

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Similarity of the audio-visual localizer; the prior plays no part in it."""
        return self._audio_visual.similarity(_part(image_features, _AUDIO_VISUAL), audio_features)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """The prior mixed with the audio-visual model's own audio-blind map, if it has one."""
        prior = self._prior_map(image_features)
        if self._audio_visual.no_vision_only is not None:
            return prior
        blind = self._audio_visual.vision_only(_part(image_features, _AUDIO_VISUAL))
        return mix(blind, prior, self._alpha)

    def _prior_map(self, image_features: Features) -> NDArray[np.float32]:
        return self._prior.localize(_part(image_features, _PRIOR), {})


def mix(
    audio_visual: NDArray[np.float32], prior: NDArray[np.float32], alpha: float
) -> NDArray[np.float32]:
    """Mix maps on the scale that each has after up-sampling to 224x224.

    Up-sampling is linear. Where both grids are equal the mix is therefore given on that grid:
    up-sampling it is the published mix, up to the last min-max normalisation, which protocols do.
    Where they differ it is given at 224x224. A flat map contributes nothing.

    Parameters
    ----------
    audio_visual, prior
        ``(B, h, w)`` and ``(B, h', w')`` float32.
    alpha
        Weight of the audio-visual maps, in [0, 1].

    Returns
    -------
    ndarray
        ``(B, h, w)`` or ``(B, 224, 224)`` float32.

    Examples
    --------
    >>> left = np.array([[[1.0, 0.0]]], np.float32)
    >>> mix(left, 5 * left[:, :, ::-1], 0.25).tolist()
    [[[0.25, 0.75]]]
    """
    same_grid = audio_visual.shape == prior.shape
    return alpha * _on_unit_scale(audio_visual, same_grid) + (1 - alpha) * _on_unit_scale(
        prior, same_grid
    )


def _on_unit_scale(maps: NDArray[np.float32], keep_grid: bool) -> NDArray[np.float32]:
    enlarged = functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(maps))[:, None],
        size=(_GRID, _GRID),
        mode="bilinear",
        align_corners=True,
    )[:, 0].numpy()
    low = enlarged.min(axis=(1, 2), keepdims=True)
    span = enlarged.max(axis=(1, 2), keepdims=True) - low
    # Looked for before up-sampling, whose rounding makes a flat map look uneven.
    flat = (np.ptp(maps, axis=(1, 2), keepdims=True) == 0) | (span == 0)
    scaled = ((maps if keep_grid else enlarged) - low) / np.where(flat, np.float32(1), span)
    unit: NDArray[np.float32] = np.where(flat, np.float32(0), scaled)
    return unit


def _part(features: Features, prefix: str) -> Features:
    return {
        key.removeprefix(prefix): rows for key, rows in features.items() if key.startswith(prefix)
    }
