from __future__ import annotations

import numpy as np
import pytest

from ssl_bench.testsets.synth.textures import TEXTURES

TICKS = np.linspace(-1.0, 1.0, 65, dtype=np.float32)
X, Y = np.meshgrid(TICKS, TICKS)


def test_there_are_eight_textures() -> None:
    assert len(TEXTURES) == 8


@pytest.mark.parametrize("texture", TEXTURES)
def test_a_texture_uses_both_tones_and_nothing_beyond(texture: str) -> None:
    tone = TEXTURES[texture](X, Y, 4.0, 0.1, 0.7)
    assert tone.dtype == np.float32
    assert tone.min() == 0.0
    assert tone.max() == 1.0
    assert 0.1 < tone.mean() < 0.9


@pytest.mark.parametrize("texture", sorted(set(TEXTURES) - {"gradient"}))
def test_a_higher_frequency_gives_finer_detail(texture: str) -> None:
    def changes(frequency: float) -> float:
        tone = TEXTURES[texture](X, Y, frequency, 0.1, 0.7)
        return float(np.abs(np.diff(tone, axis=0)).sum() + np.abs(np.diff(tone, axis=1)).sum())

    assert changes(6.0) > 1.3 * changes(3.0)


@pytest.mark.parametrize("texture", sorted(set(TEXTURES) - {"gradient"}))
def test_phases_move_the_pattern(texture: str) -> None:
    first, second = (TEXTURES[texture](X, Y, 4.0, phase, phase) for phase in (0.0, 0.4))
    assert np.abs(first - second).mean() > 0.1
