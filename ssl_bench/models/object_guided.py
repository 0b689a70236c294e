"""Object-guided localization: any localizer mixed with an audio-blind object prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ModelError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer, OptionalMethod
from ssl_bench.models.mixing import EZ_VSL_GUIDANCE, mix
from ssl_bench.models.provenance import Provenance, provenance_of
from ssl_bench.models.recipes import ObjectGuidance
from ssl_bench.models.sounds import SoundInput
from ssl_bench.models.trained import TrainedLocalizer

_AUDIO_VISUAL = "audio_visual."
_PRIOR = "prior."


class ObjectGuided(Localizer):
    """Object-guided localization of EZ-VSL (paper section 3.3, equation 9), and its relatives.

    The mix is ``alpha * scaled(up(M)) + (1 - alpha) * scaled(up(P))`` of the audio-visual map M and
    the prior's map P; `guidance` says to what grid, and how, maps are up-sampled and scaled. The
    similarity is that of the audio-visual model alone.

    `prior` must be audio-blind, and `alpha`, the weight of the audio-visual map, lie in [0, 1];
    anything else is a ModelError. None takes the alpha of `guidance`.
    """

    def __init__(
        self,
        audio_visual: Localizer,
        prior: Localizer,
        alpha: float | None = None,
        guidance: ObjectGuidance = EZ_VSL_GUIDANCE,
    ) -> None:
        alpha = guidance.alpha if alpha is None else alpha
        if not 0 <= alpha <= 1:
            raise ModelError(
                f"alpha is {alpha}, and must lie between 0 (prior alone) and 1 (no prior)",
                code="E_ALPHA_RANGE",
                remedy=f"the published value is {guidance.alpha}",
            )
        if not prior.audio_blind:
            raise ModelError(
                f"{prior.name} listens, and cannot serve as an object prior",
                code="E_PRIOR_LISTENS",
                remedy="use an audio-blind localizer such as ogl-l1",
            )
        if prior.video_input not in (None, audio_visual.video_input):
            raise ModelError(
                f"{prior.name} needs {prior.video_input.described()}, and is mixed with a model "
                "that does not",
                code="E_PRIOR_VIDEO",
                remedy="use an object prior that looks at pictures, such as ogl-l1",
            )
        self.video_input = audio_visual.video_input
        self.name = f"{audio_visual.name}+{prior.name}"
        self.preset = audio_visual.preset
        self.audio_blind = audio_visual.audio_blind
        self.provenance = Provenance(
            self.name,
            preset=self.preset,
            alpha=alpha,
            options={
                "upsampling": guidance.upsampling,
                "normalisation": guidance.normalisation,
                **({} if guidance.grid == EZ_VSL_GUIDANCE.grid else {"grid": guidance.grid}),
            },
            parts=(provenance_of(audio_visual), provenance_of(prior)),
        )
        self.audio_visual = audio_visual
        self.prior = prior
        self._alpha = alpha
        self.guidance = guidance
        self._alike = isinstance(prior, TrainedLocalizer) and prior.prepares_as(audio_visual)

    @property
    def sound_input(self) -> SoundInput | None:
        """Which sounds the audio-visual model takes; None where it says nothing of it."""
        return getattr(self.audio_visual, "sound_input", None)

    def prepare_image(self, image: NDArray[np.uint8]) -> tuple[Any, Any]:
        """The image as each localizer prepares it; done once where both do the same."""
        heard = self.audio_visual.prepare_image(image)
        if self.video_input is not None and self.prior.video_input is None:
            return heard, self.prior.prepare_image(image[len(image) // 2])
        return heard, heard if self._alike else self.prior.prepare_image(image)

    def prepare_sound(self, sound: Waveform) -> Any:
        """The sound as the audio-visual localizer prepares it."""
        return self.audio_visual.prepare_sound(sound)

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features of both localizers, distinguished by a prefix."""
        return self.encode_prepared_images([self.prepare_image(image) for image in images])

    def encode_prepared_images(self, prepared: Sequence[tuple[Any, Any]]) -> Features:
        """Features of both localizers, distinguished by a prefix."""
        heard = self.audio_visual.encode_prepared_images([each for each, _ in prepared])
        seen = self.prior.encode_prepared_images([each for _, each in prepared])
        return {
            **{_AUDIO_VISUAL + key: rows for key, rows in heard.items()},
            **{_PRIOR + key: rows for key, rows in seen.items()},
        }

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Features of the audio-visual localizer."""
        return self.audio_visual.encode_audio(sounds)

    def encode_prepared_sounds(self, prepared: Sequence[Any]) -> Features:
        """Features of the audio-visual localizer."""
        return self.audio_visual.encode_prepared_sounds(prepared)

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Mixed maps; see :func:`~ssl_bench.models.mixing.mix`."""
        return mix(
            self.audio_visual.localize(_part(image_features, _AUDIO_VISUAL), audio_features),
            self._prior_map(image_features),
            self._alpha,
            self.guidance,
        )

    def supports(self, method: OptionalMethod) -> bool:
        """Whether an optional method works; a similarity is that of the audio-visual localizer."""
        own = self.audio_visual.supports if method == "similarity" else super().supports
        return own(method)

    def missing_reason(self, method: OptionalMethod) -> str:
        """Why an optional method does not work, as a sentence without a full stop."""
        if method == "similarity":
            return self.audio_visual.missing_reason(method)
        return super().missing_reason(method)

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Similarity of the audio-visual localizer; the prior plays no part in it."""
        return self.audio_visual.similarity(_part(image_features, _AUDIO_VISUAL), audio_features)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """The prior mixed with the audio-visual model's own audio-blind map, if it has one."""
        prior = self._prior_map(image_features)
        if not self.audio_visual.supports("vision_only"):
            return prior
        blind = self.audio_visual.vision_only(_part(image_features, _AUDIO_VISUAL))
        return mix(blind, prior, self._alpha, self.guidance)

    def _prior_map(self, image_features: Features) -> NDArray[np.float32]:
        return self.prior.localize(_part(image_features, _PRIOR), {})


def _part(features: Features, prefix: str) -> Features:
    return {
        key.removeprefix(prefix): rows for key, rows in features.items() if key.startswith(prefix)
    }
