"""Front ends of public code: the same samples, and the same spectrograms."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.segments import opening_segment, rolled_segment
from ssl_bench.models.sounds import (
    AudioPreprocessing,
    FixedSamplesAudio,
    LogMelAudio,
    LogPowerAudio,
    MelDecibelAudio,
    PublishedFrontEnd,
    RolledAudio,
    WholeClipAudio,
    prepare_sound,
    taking_any_rate,
)

SPECTROGRAM = 1e-9
PUBLISHED: list[PublishedFrontEnd] = [
    LogPowerAudio(),
    FixedSamplesAudio(),
    WholeClipAudio(),
    RolledAudio(),
    MelDecibelAudio(),
]

Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def expected(vectors: Path) -> Iterator[Arrays]:
    with np.load(vectors / "preproc_variants.npz") as arrays:
        yield dict(arrays)


@pytest.fixture(scope="module")
def clips(vectors: Path) -> dict[str, Waveform]:
    """Short, stereo and low-rate clips."""
    with np.load(vectors / "inputs.npz") as inputs:
        names = [key.removeprefix("audio_") for key in inputs if key.startswith("audio_v")]
        return {
            name: Waveform(
                inputs[f"audio_{name}"].reshape(len(inputs[f"audio_{name}"]), -1),
                int(inputs[f"rate_{name}"]),
            )
            for name in names
        }


def _sha(samples: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(samples).tobytes()).hexdigest()


def _integers(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.rint(samples * 32768).astype(np.int16)


def _statistics(table: NDArray[np.float64], *, unbiased: bool = False) -> list[float]:
    return [table.min(), table.max(), table.mean(), table.std(ddof=int(unbiased))]


@pytest.mark.parametrize(
    ("model", "front_end"),
    [
        ("ezvsl", LogPowerAudio()),
        ("slavc", LogPowerAudio()),
        ("ours", FixedSamplesAudio()),
        ("lvs", WholeClipAudio()),
    ],
)
def test_main_clips_equal_the_public_loaders(
    vectors: Path,
    golden_sounds: list[Waveform],
    model: str,
    front_end: PublishedFrontEnd,
) -> None:
    with np.load(vectors / f"{model}.parity.npz") as parity:
        for index, sound in enumerate(golden_sounds):
            table = front_end.table(sound)
            assert table.shape == tuple(parity["spec_shape"][2:])
            np.testing.assert_allclose(
                table[::16, ::20], parity["spec_slice"][index], rtol=0, atol=SPECTROGRAM
            )
            np.testing.assert_allclose(
                _statistics(table, unbiased=True),
                parity["spec_stats"][index],
                rtol=0,
                atol=SPECTROGRAM,
            )


def test_main_segments_equal_the_public_loaders(
    vectors: Path, golden_sounds: list[Waveform]
) -> None:
    ours = FixedSamplesAudio()
    with np.load(vectors / "ours.parity.npz") as parity:
        for index, sound in enumerate(golden_sounds):
            opening = opening_segment(sound, ours.seconds, channels=2)
            assert _sha(_integers(opening[ours.first : ours.last])) == str(
                parity["segment_int16_sha256"][index]
            )
    with np.load(vectors / "lvs.parity.npz") as parity:
        for index, sound in enumerate(golden_sounds):
            assert _sha(_integers(opening_segment(sound))) == str(
                parity["segment_int16_sha256"][index]
            )


@pytest.mark.parametrize(
    ("loader", "front_end", "columns"),
    [
        ("ezvsl", LogPowerAudio(), 20),
        ("ours", FixedSamplesAudio(), 20),
        ("lvs", WholeClipAudio(), 40),
    ],
)
def test_awkward_clips_equal_the_public_loaders(
    expected: Arrays,
    clips: dict[str, Waveform],
    loader: str,
    front_end: PublishedFrontEnd,
    columns: int,
) -> None:
    compared = [name for name in clips if f"{loader}_{name}_slice" in expected]
    assert compared
    for name in compared:
        table = front_end.table(clips[name])
        assert table.shape == tuple(expected[f"{loader}_{name}_shape"][1:])
        np.testing.assert_allclose(
            table[::16, ::columns], expected[f"{loader}_{name}_slice"], rtol=0, atol=SPECTROGRAM
        )
        np.testing.assert_allclose(
            _statistics(table), expected[f"{loader}_{name}_stats"], rtol=0, atol=SPECTROGRAM
        )


@pytest.mark.parametrize("loader", ["ours", "lvs"])
def test_awkward_segments_equal_the_public_loaders(
    expected: Arrays, clips: dict[str, Waveform], loader: str
) -> None:
    ours = FixedSamplesAudio()
    for name, sound in clips.items():
        if f"{loader}_{name}_segment_head" not in expected:
            continue
        opening = opening_segment(sound, channels=2)
        cut = opening[ours.first : ours.last] if loader == "ours" else opening
        segment = _integers(cut)
        assert [len(segment), sound.rate] == expected[f"{loader}_{name}_segment_len_rate"].tolist()
        assert segment[:64].tolist() == expected[f"{loader}_{name}_segment_head"].tolist()
        assert _sha(segment) == str(expected[f"{loader}_{name}_segment_int16_sha256"])


def test_rolled_clips_equal_the_loader_of_the_second_evaluation(
    expected: Arrays, golden_sounds: list[Waveform]
) -> None:
    for index, sound in enumerate(golden_sounds):
        segment, table = rolled_segment(sound), RolledAudio().table(sound)
        assert segment[:64].tolist() == expected[f"unified_p{index}_rolled_head"].tolist()
        assert _sha(segment) == str(expected[f"unified_p{index}_rolled_int16_sha256"])
        assert table.shape == tuple(expected[f"unified_p{index}_shape"][1:])
        np.testing.assert_allclose(
            table[::16, ::20], expected[f"unified_p{index}_slice"], rtol=0, atol=SPECTROGRAM
        )
        np.testing.assert_allclose(
            _statistics(table), expected[f"unified_p{index}_stats"], rtol=0, atol=SPECTROGRAM
        )


@pytest.mark.parametrize(
    ("front_end", "shape"),
    [
        (LogPowerAudio(), (257, 200)),
        (FixedSamplesAudio(), (257, 299)),
        (WholeClipAudio(), (257, 671)),
        (RolledAudio(), (257, 200)),
        (MelDecibelAudio(), (257, 670)),
    ],
)
def test_a_clip_of_ten_seconds_at_16_kHz_has_the_published_shape(
    front_end: PublishedFrontEnd, shape: tuple[int, int]
) -> None:
    sound = Waveform(np.zeros((160000, 1), np.int16), 16000)
    assert prepare_sound(sound, front_end).shape == (1, *shape)


def test_only_the_left_channel_is_heard_where_the_authors_take_it() -> None:
    generator = np.random.default_rng(0)
    left = generator.integers(-9000, 9000, 160000).astype(np.int16)
    stereo = Waveform(np.stack([left, np.zeros_like(left)], axis=1), 16000)
    np.testing.assert_array_equal(
        FixedSamplesAudio().table(stereo), FixedSamplesAudio().table(Waveform(left[:, None], 16000))
    )


@pytest.mark.parametrize("front_end", [WholeClipAudio(), MelDecibelAudio()])
def test_two_channels_are_an_error_where_the_authors_loader_fails(
    front_end: PublishedFrontEnd,
) -> None:
    with pytest.raises(DataError, match=r"2 channels.*takes one.*[Mm]ix"):
        prepare_sound(Waveform(np.zeros((160000, 2), np.int16), 16000), front_end)


@pytest.mark.parametrize("front_end", PUBLISHED)
class TestEveryPublishedFrontEnd:
    def test_three_channels_are_refused(self, front_end: PublishedFrontEnd) -> None:
        with pytest.raises(DataError, match="3 channels"):
            prepare_sound(Waveform(np.zeros((160000, 3), np.int16), 16000), front_end)

    def test_another_rate_is_refused_unless_any_is_taken(
        self, front_end: PublishedFrontEnd
    ) -> None:
        sound = Waveform(np.zeros((220500, 1), np.int16), 22050)
        with pytest.raises(DataError, match=r"22050 Hz.*16000 Hz.*any_rate"):
            prepare_sound(sound, front_end)
        assert np.isfinite(prepare_sound(sound, taking_any_rate(front_end))).all()

    def test_no_samples_are_refused(self, front_end: PublishedFrontEnd) -> None:
        with pytest.raises(DataError, match="must have samples"):
            prepare_sound(Waveform(np.zeros((0, 1), np.int16), 16000), front_end)

    def test_a_single_sample_is_repeated(self, front_end: PublishedFrontEnd) -> None:
        sound = Waveform(np.ones((1, 1), np.int16), 16000)
        assert np.isfinite(prepare_sound(sound, front_end)).all()

    def test_a_rate_too_low_for_the_segment_is_an_error(self, front_end: PublishedFrontEnd) -> None:
        with pytest.raises(DataError, match=r"fewer than"):
            prepare_sound(Waveform(np.zeros((50, 1), np.int16), 50), taking_any_rate(front_end))

    def test_a_recipe_can_name_it(self, front_end: PublishedFrontEnd) -> None:
        read: TypeAdapter[Any] = TypeAdapter(AudioPreprocessing)
        assert read.validate_python(front_end.model_dump()) == front_end


def test_an_unknown_spectrogram_is_no_front_end() -> None:
    with pytest.raises(ValidationError, match="log-power-fixed"):
        TypeAdapter(AudioPreprocessing).validate_python({"spectrogram": "log-pawer"})


def test_a_front_end_for_one_rate_never_takes_another() -> None:
    sound = Waveform(np.zeros((16000, 1), np.int16), 16000)
    with pytest.raises(DataError, match=r"16000 Hz.*11025 Hz"):
        prepare_sound(sound, taking_any_rate(LogMelAudio()))
