"""A localizer in a package of its own: loud sounds come from bright places, quiet from dark."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import Localizer
from ssl_bench.media.waveform import Waveform

Features = Mapping[str, NDArray[Any]]


class QuietCorner(Localizer):
    """Brightness, as it is or upside down.

    Parameters
    ----------
    loudness
        Mean absolute sample in [0, 1] above which a sound is loud; ``--option loudness=0``.
    """

    name = "quiet-corner"

    def __init__(self, loudness: float = 0.05) -> None:
        self._loudness = float(loudness)

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Brightness of a grid of pixels."""
        return {"brightness": np.stack([image[::16, ::16].mean(2, dtype="f4") for image in images])}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Whether each sound is loud."""
        return {"loud": np.array([np.abs(s.as_float()).mean() > self._loudness for s in sounds])}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """One map for each pair."""
        sign = np.where(audio_features["loud"], 1, -1).astype(np.float32)
        maps: NDArray[np.float32] = image_features["brightness"] * sign[:, None, None]
        return maps
