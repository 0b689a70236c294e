import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.segments import opening_segment, repeated, rolled_segment


@given(count=st.integers(1, 50), wanted=st.integers(1, 200))
def test_a_repeated_sound_starts_again_where_it_ends(count: int, wanted: int) -> None:
    samples = np.arange(count)
    assert repeated(samples, wanted).tolist() == [i % count for i in range(wanted)]


def test_an_opening_is_the_first_seconds() -> None:
    sound = Waveform(np.arange(50, dtype=np.int16)[:, None], 2)
    assert (opening_segment(sound, 3) * 32768).tolist() == [0, 1, 2, 3, 4, 5]


def test_sixteen_bit_samples_are_divided_by_32768_and_floats_are_clipped() -> None:
    assert opening_segment(Waveform(np.array([[-32768]], np.int16), 1), 1).tolist() == [-1]
    assert opening_segment(Waveform(np.array([[1.5], [-2.0]]), 1), 2).tolist() == [1, -1]


def test_more_channels_than_the_loader_survives_are_refused() -> None:
    stereo = Waveform(np.zeros((4, 2), np.int16), 1)
    with refused("E_SOUND_CHANNELS", where="2 channels", kind=DataError):
        opening_segment(stereo, 4)
    assert len(opening_segment(stereo, 4, channels=2)) == 4


@given(count=st.integers(1, 60), rate=st.integers(1, 5))
def test_the_middle_of_a_rolled_sound_is_in_the_middle(count: int, rate: int) -> None:
    sound = Waveform(np.arange(count, dtype=np.int16)[:, None], rate)
    rolled = rolled_segment(sound)
    assert len(rolled) == 10 * rate
    opening = repeated(np.arange(min(count, 10 * rate)), 10 * rate)
    assert rolled[5 * rate] == opening[count // 2 % (10 * rate)]


def test_the_opening_of_a_longer_sound_is_rolled_by_the_middle_of_the_whole() -> None:
    sound = Waveform(np.arange(24, dtype=np.int16)[:, None], 2)
    assert rolled_segment(sound).tolist() == [*range(2, 20), 0, 1]


def test_a_rolled_sound_is_mixed_on_integers_with_halves_rounded_up() -> None:
    stereo = Waveform(np.array([[1, 2], [-1, -2]], np.int16), 1)
    assert rolled_segment(stereo, 2).tolist() == [2, -1]
