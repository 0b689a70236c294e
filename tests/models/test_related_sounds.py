from __future__ import annotations

import math

import numpy as np
import pytest
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.sounds import DSOLAudio, MSSLAudio, OneRateAudio, prepare_sound
from ssl_bench.models.spectrograms import dsol_log_mel, mssl_log_mel, slaney_filters


def tone(frequency: float, rate: int, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


class TestFilters:
    def test_bands_below_one_kilohertz_are_evenly_spaced(self) -> None:
        filters = slaney_filters(22050, 64, 22050)  # one row of the spectrum for each Hz
        # 11,025 Hz are 15 + 27 ln(11.025) / ln(6.4) mel, and 65 steps lead there.
        step = (15 + 27 * math.log(11.025) / math.log(6.4)) / 65 * 200 / 3
        peaks = filters[:10].argmax(axis=1)
        np.testing.assert_allclose(peaks, step * np.arange(1, 11), atol=1)

    def test_bands_above_one_kilohertz_grow_by_a_constant_factor(self) -> None:
        peaks = slaney_filters(22050, 64, 22050)[30:].argmax(axis=1)
        ratios = peaks[1:] / peaks[:-1]
        assert np.ptp(ratios) < 0.003
        assert ratios.mean() > 1.03

    def test_every_triangle_has_the_area_one(self) -> None:
        filters = slaney_filters(22050, 64, 22050)
        np.testing.assert_allclose(filters.sum(axis=1), 1, atol=1e-3)

    def test_two_bands_of_the_short_window_are_empty(self) -> None:
        assert (slaney_filters(16000, 64, 160).max(axis=1) == 0).sum() == 2

    def test_they_cannot_be_changed_by_accident(self) -> None:
        with pytest.raises(ValueError, match="read-only"):
            slaney_filters(16000, 64, 160)[0, 0] = 1


class TestMSSL:
    def test_time_runs_along_the_rows_and_frequency_along_the_columns(self) -> None:
        rate = 22050
        sound = np.concatenate([tone(300, rate, 2.5), tone(5000, rate, 2.5)])
        table = mssl_log_mel(sound, rate)
        assert table.shape == (251, 64)
        filters = slaney_filters(rate, 64, 882)
        assert table[60].argmax() == filters[:, 12].argmax()  # 300 Hz = 12 * 25 Hz
        assert table[190].argmax() == filters[:, 200].argmax()

    def test_a_tone_has_a_quarter_of_the_squared_window_sum_in_its_bin(self) -> None:
        # 300 Hz lies on bin 12; a periodic Hann window of 882 samples sums to 441.
        table = mssl_log_mel(tone(300, 22050, 1), 22050)
        filters = slaney_filters(22050, 64, 882)
        powers = np.zeros(442)
        powers[11:14] = np.array([0.25, 1, 0.25]) * 441**2 / 4
        expected = np.log(filters @ powers + 2.2e-16)
        loud = expected > expected.max() - 5
        np.testing.assert_allclose(table[20][loud], expected[loud], atol=0.01)

    def test_loudness_is_divided_out(self) -> None:
        sound = tone(440, 22050, 1)
        np.testing.assert_allclose(
            mssl_log_mel(sound, 22050), mssl_log_mel(sound / 50, 22050), atol=1e-5
        )

    def test_silence_lies_at_the_floor(self) -> None:
        np.testing.assert_allclose(mssl_log_mel(np.zeros(22050), 22050), math.log(2.0**-52))

    def test_frames_are_centred_and_the_ends_are_mirrored(self) -> None:
        # A click at the very start is the centre of the first frame.
        sound = np.zeros(22050)
        sound[0] = 1
        table = mssl_log_mel(sound, 22050)
        assert table[0].max() > table[1].max()
        ramp = np.arange(22050.0)
        mirrored = np.concatenate([ramp[441:0:-1], ramp, ramp[-2:-443:-1]])
        np.testing.assert_allclose(
            mssl_log_mel(ramp, 22050)[0], mssl_log_mel(mirrored, 22050)[1], atol=1e-2
        )


class TestDSOL:
    def test_shape_and_axes(self) -> None:
        sound = np.concatenate([tone(400, 16000, 0.5), tone(4000, 16000, 0.5)])
        table = dsol_log_mel(sound, 16000)
        assert table.shape == (201, 64)
        filters = slaney_filters(16000, 64, 160)
        assert table[50].argmax() == filters[:, 4].argmax()
        assert table[150].argmax() == filters[:, 40].argmax()

    def test_it_is_ten_times_the_logarithm_of_the_magnitude(self) -> None:
        sound = tone(1000, 16000, 1)
        louder, softer = dsol_log_mel(sound, 16000), dsol_log_mel(sound / 100, 16000)
        band = slaney_filters(16000, 64, 160)[:, 10].argmax()
        difference = louder[:, band] - softer[:, band]
        np.testing.assert_allclose(difference, 20, atol=1e-6)  # of the power it would be 40

    def test_nothing_lies_more_than_eighty_decibels_below_the_maximum(self) -> None:
        table = dsol_log_mel(tone(1000, 16000, 1), 16000)
        assert np.ptp(table) == pytest.approx(80)

    def test_silence_lies_at_the_floor(self) -> None:
        np.testing.assert_allclose(dsol_log_mel(np.zeros(16000), 16000), -100)

    def test_zeros_lie_beyond_the_ends(self) -> None:
        band = slaney_filters(16000, 64, 160)[:, 40].argmax()
        table = dsol_log_mel(np.cos(2 * np.pi * 4000 * np.arange(16000) / 16000), 16000)
        # Half of the first frame is empty; mirrored, this tone would fill it.
        assert 1 < table[100, band] - table[0, band] < 3.1
        assert table[100, band] == pytest.approx(table[50, band])


@pytest.mark.parametrize(
    ("front_end", "shape"), [(MSSLAudio(), (251, 64)), (DSOLAudio(), (201, 64))]
)
class TestFrontEnds:
    def test_sizes_are_the_published_ones_whatever_the_length(
        self, front_end: OneRateAudio, shape: tuple[int, int]
    ) -> None:
        for count in (1, 5000, 10 * front_end.rate):
            samples = np.random.default_rng(count).normal(0, 0.1, (count, 2))
            spectrogram = prepare_sound(Waveform(samples, front_end.rate), front_end)
            assert spectrogram.shape == (1, *shape)
            assert spectrogram.dtype == np.float32
            assert np.isfinite(spectrogram).all()

    def test_the_centre_is_heard_and_channels_are_averaged(
        self, front_end: OneRateAudio, shape: tuple[int, int]
    ) -> None:
        wanted = round(front_end.seconds * front_end.rate)
        left = np.random.default_rng(0).normal(0, 0.1, 3 * wanted)
        stereo = Waveform(np.stack([left, np.zeros_like(left)], axis=1), front_end.rate)
        mono = Waveform(left[wanted : 2 * wanted, None] / 2, front_end.rate)
        np.testing.assert_array_equal(
            prepare_sound(stereo, front_end), prepare_sound(mono, front_end)
        )

    def test_another_rate_is_an_error(
        self, front_end: OneRateAudio, shape: tuple[int, int]
    ) -> None:
        with refused("E_SOUND_RATE", where="44100 Hz", kind=DataError) as caught:
            prepare_sound(Waveform(np.zeros((44100, 1), np.int16), 44100), front_end)
        assert f"{front_end.rate} Hz" in str(caught.value)
