"""VGGish, a network of sounds, and what it reads.

Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017. Sizes and
constants are those of its public code (tensorflow/models, ``audioset/vggish``), and names of
entries those of its public conversion to torch (harritaylor/torchvggish).
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.sounds import SoundInput
from ssl_bench.models.spectrograms import hann_window
from ssl_bench.models.vgg import vgg_stack
from ssl_bench.schemas import Document

RATE = 16000
WINDOW, HOP, TRANSFORM = 400, 160, 512
BANDS, FRAMES = 64, 96
LOWEST, HIGHEST = 125.0, 7500.0
OFFSET = 0.01

_LEAST_SECONDS = ((FRAMES - 1) * HOP + WINDOW) / RATE
_SPREAD = 1e-3
_STAGES = ((64,), (128,), (256, 256), (512, 512))


class VGGishArchitecture(Document):
    """Shape of the network behind its convolutions; the defaults are VGGish's."""

    hidden: PositiveInt = 4096  # Length of the two hidden layers
    dimension: PositiveInt = 128  # Length of what it makes of a patch


class VGGish(nn.Module):
    """Convolutions over a patch of a log-mel spectrogram, and three fully connected layers.

    Its whitening and quantisation are not part of it.

    Examples
    --------
    >>> import torch
    >>> network = VGGish(VGGishArchitecture(hidden=8, dimension=4))
    >>> tuple(network(torch.zeros(2, 1, 96, 64)).shape)
    (2, 4)
    """

    def __init__(self, architecture: VGGishArchitecture) -> None:
        super().__init__()
        hidden, self.dimension = architecture.hidden, architecture.dimension
        self.features = vgg_stack(_STAGES, input_channels=1)
        cells = (FRAMES // 16) * (BANDS // 16) * _STAGES[-1][-1]
        self.embeddings = nn.Sequential(
            nn.Linear(cells, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, self.dimension),
            nn.ReLU(inplace=True),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Features ``(B, dimension)``, >= 0, of patches ``(B, 1, 96, 64)``."""
        # The channels of a cell lie side by side, as where the network was trained.
        cells = self.features(patches).permute(0, 2, 3, 1).flatten(1)
        embedded: Tensor = self.embeddings(cells)
        return embedded


class VGGishAudio(SoundInput):
    """The centre of a sound, stretched to plus and minus 1, as patches of a log-mel spectrogram.

    As the public code of SSPL reads sounds. A sound that is shorter is repeated as a whole, as
    often as is needed, and the centre of that is taken.
    """

    spectrogram: Literal["vggish"] = "vggish"
    # Length of the segment; a patch takes 0.975 s, and each further one 0.96 s.
    seconds: Annotated[float, Field(ge=_LEAST_SECONDS)] = 3.0

    @property
    def taken_rate(self) -> int | None:
        """The rate that VGGish was trained on."""
        return RATE

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Patches ``(n, 96, 64)``: rows are times, columns frequencies; 3 of 3 s."""
        wanted = int(self.seconds * RATE)
        samples = sound.as_float().mean(axis=1)
        if len(samples) < wanted:
            samples = np.tile(samples, wanted // len(samples) + 1)
        start = len(samples) // 2 - wanted // 2
        return log_mel_patches(stretched(samples[start : start + wanted]))


def stretched(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Samples brought from their own range to about plus and minus 1; a constant to minus 1.

    Examples
    --------
    >>> stretched(np.array([0.1, 0.3, 0.2])).round(2).tolist()
    [-1.0, 0.99, -0.0]
    """
    above = samples - samples.min()
    found: NDArray[np.float64] = 2 * (above / (above.max() + _SPREAD) - 0.5)
    return found


def log_mel_patches(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-mel spectrogram of samples at 16 kHz, cut into patches ``(n, 96, 64)``.

    ``ln(M + 0.01)``, where M is the magnitude of Hann-windowed frames of 400 samples, one at every
    160th, summed by the bands of :func:`mel_bands`. What is left at the end is dropped.

    Examples
    --------
    >>> log_mel_patches(np.zeros(48000)).shape
    (3, 96, 64)
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    magnitudes = np.abs(np.fft.rfft(frames * hann_window(WINDOW), TRANSFORM, axis=1))
    table = np.log(magnitudes @ mel_bands().T + OFFSET)
    count = len(table) // FRAMES
    return np.asarray(table[: count * FRAMES].reshape(count, FRAMES, BANDS))


@cache
def mel_bands() -> NDArray[np.float64]:
    """Triangles of height 1, straight on the mel scale, ``(64, 257)``, read-only.

    Their edges lie evenly on the scale ``1127 ln(1 + f/700)`` from 125 Hz to 7500 Hz.

    Examples
    --------
    >>> mel_bands().shape, bool(mel_bands()[:, 0].any())
    ((64, 257), False)
    """
    places = _mel(np.linspace(0, RATE / 2, TRANSFORM // 2 + 1))
    edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (places - low) / (centre - low), (high - places) / (high - centre)
    bands: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    bands.setflags(write=False)
    return bands


def _mel(frequencies: Any) -> Any:
    return 1127 * np.log1p(frequencies / 700)
