"""Reading sounds: what is kept, what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pytest
import soundfile
from common import encode_sound
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.errors import DataError, Problem
from ssl_bench.media.audio import MAX_SAMPLES, examine_audio, probe_audio, read_audio
from ssl_bench.media.containers import contents_of

RATE = 16000
READERS = pytest.mark.parametrize("reader", [read_audio, probe_audio])


def noise(count: int = 800, channels: int = 1) -> NDArray[np.int16]:
    rng = np.random.default_rng(0)
    return rng.integers(-32768, 32768, (count, channels)).astype(np.int16)


def wav_of_length(
    folder: Path, length: int, order: Literal["little", "big"] = "little", outer: int = 1636
) -> Path:
    """A WAV file of 800 samples whose headers give these lengths in bytes."""
    path = folder / "clip.wav"
    endian = {"little": "LITTLE", "big": "BIG"}[order]
    soundfile.write(path, noise(800), RATE, subtype="PCM_16", endian=endian)
    content = bytearray(path.read_bytes())
    content[4:8], content[40:44] = outer.to_bytes(4, order), length.to_bytes(4, order)
    path.write_bytes(content)
    return path


def codes(notes: Sequence[Problem]) -> list[str]:
    return [note.code for note in notes]


def tone(seconds: float = 2.0) -> NDArray[np.float32]:
    time = np.arange(int(RATE * seconds)) / RATE
    return (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def encode(
    path: Path, sound: NDArray[np.float32], codec: str = "aac", rate: int = RATE, **options: str
) -> None:
    """Write a stereo file: the sound on the left, silence on the right."""
    encode_sound(path, np.stack([sound, np.zeros_like(sound)]), codec, rate, **options)


class TestPlainFiles:
    @pytest.mark.parametrize("channels", [1, 2, 3])
    @pytest.mark.parametrize("suffix", [".wav", ".flac"])
    def test_16_bit_samples_are_untouched(self, tmp_path: Path, suffix: str, channels: int) -> None:
        path = tmp_path / f"a{suffix}"
        soundfile.write(path, noise(channels=channels), RATE, subtype="PCM_16")
        sound = read_audio(path)
        assert sound.samples.dtype == np.int16
        np.testing.assert_array_equal(sound.samples, noise(channels=channels))
        assert sound.rate == RATE
        assert probe_audio(path) == sound.seconds == 0.05

    @pytest.mark.parametrize("suffix", [".wav", ".flac"])
    def test_24_bit_samples_keep_every_bit(self, tmp_path: Path, suffix: str) -> None:
        stored = np.array([-(2**23), -257, -256, -1, 0, 1, 255, 256, 2**23 - 1], dtype=np.int32)
        path = tmp_path / f"a{suffix}"
        soundfile.write(path, stored * 256, RATE, subtype="PCM_24")
        samples = read_audio(path).samples[:, 0]
        assert samples.dtype == np.float64
        np.testing.assert_array_equal(samples * 2**23, stored)
        np.testing.assert_array_equal(np.floor(samples * 32768), stored >> 8)

    def test_32_bit_samples_keep_every_bit(self, tmp_path: Path) -> None:
        stored = np.array([-(2**31), -1, 0, 1, 2**31 - 1], dtype=np.int32)
        soundfile.write(tmp_path / "a.wav", stored, RATE, subtype="PCM_32")
        samples = read_audio(tmp_path / "a.wav").samples[:, 0]
        np.testing.assert_array_equal(samples * 2**31, stored)

    def test_8_bit_samples_are_the_same_sound_in_16_bits(self, tmp_path: Path) -> None:
        stored = (np.arange(-128, 128) * 256).astype(np.int16)
        soundfile.write(tmp_path / "a.wav", stored, RATE, subtype="PCM_U8")
        np.testing.assert_array_equal(read_audio(tmp_path / "a.wav").samples[:, 0], stored)

    def test_float_samples_stay_float32_even_out_of_range(self, tmp_path: Path) -> None:
        stored = np.array([-1.5, 1e-9, 0.1, 2.0], dtype=np.float32)
        soundfile.write(tmp_path / "a.wav", stored, RATE, subtype="FLOAT")
        samples = read_audio(tmp_path / "a.wav").samples[:, 0]
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, stored)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite_are_refused(self, tmp_path: Path, value: float) -> None:
        stored = np.array([0.0, value], dtype=np.float32)
        soundfile.write(tmp_path / "a.wav", stored, RATE, subtype="FLOAT")
        with refused("E_NOT_FINITE", where="a.wav"):
            read_audio(tmp_path / "a.wav")

    @READERS
    @pytest.mark.parametrize("suffix", [".wav", ".flac"])
    def test_a_file_without_samples_is_refused(
        self, tmp_path: Path, reader: Callable[[Path], object], suffix: str
    ) -> None:
        path = tmp_path / f"a{suffix}"
        soundfile.write(path, noise(0), RATE, subtype="PCM_16")
        with refused(kind=DataError):
            reader(path)

    @READERS
    @pytest.mark.parametrize("kept", [0, 10, 30, 44, 45, 1000, 1643])
    def test_a_truncated_wav_is_refused(
        self, tmp_path: Path, reader: Callable[[Path], object], kept: int
    ) -> None:
        path = tmp_path / "clip.wav"
        soundfile.write(path, noise(800), RATE, subtype="PCM_16")
        content = path.read_bytes()
        assert len(content) == 1644
        path.write_bytes(content[:kept])
        with refused(kind=DataError, where="clip.wav"):
            reader(path)

    @pytest.mark.parametrize("kept", [0.01, 0.3, 0.9])
    def test_a_truncated_flac_is_refused(self, tmp_path: Path, kept: float) -> None:
        path = tmp_path / "clip.flac"
        soundfile.write(path, noise(20000), RATE)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept)])
        with refused(kind=DataError, where="clip.flac"):
            read_audio(path)

    @pytest.mark.parametrize("length", [800, 1598])
    def test_what_follows_the_sound_is_no_part_of_it(self, tmp_path: Path, length: int) -> None:
        path = wav_of_length(tmp_path, length)
        assert len(read_audio(path).samples) == length // 2
        assert examine_audio(path)[1] == ("it lasts 0.025 s",) or length == 1598

    def test_much_behind_the_sound_is_remarked_on(self, tmp_path: Path) -> None:
        """As where a recorder wrote its header early, and never again."""
        path = wav_of_length(tmp_path, 400)
        assert codes(examine_audio(path)[1]) == ["N_SOUND_SHORT", "N_SOUND_REST"]
        path.write_bytes(path.read_bytes()[:-200])
        assert codes(examine_audio(path)[1]) == ["N_SOUND_SHORT"]

    @pytest.mark.parametrize("order", ["little", "big"])
    @pytest.mark.parametrize(
        "length",
        [
            *(0, 1601, 1608, 3200, 0x7F000000, 0x7FFFF000),
            *(0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFE, 0xFFFFFFFF),
        ],
    )
    def test_a_wrong_length_in_a_whole_wav_is_remarked_on(
        self, tmp_path: Path, length: int, order: Literal["little", "big"]
    ) -> None:
        path = wav_of_length(tmp_path, length, order)
        sound, notes = examine_audio(path)
        np.testing.assert_array_equal(sound.samples, noise(800))
        assert "N_SOUND_LENGTH" in codes(notes)
        assert probe_audio(path) == 0.05

    @READERS
    def test_both_lengths_of_a_wav_from_a_pipe_may_be_unknown(
        self, tmp_path: Path, reader: Callable[[Path], object]
    ) -> None:
        for outer in (0, 0x7FFFF024, 0xFFFFFFFF):
            reader(wav_of_length(tmp_path, 0x7FFFF000, outer=outer))
        with refused("E_SOUND_TRUNCATED"):
            reader(wav_of_length(tmp_path, 3200, outer=3236))

    def test_an_empty_wav_with_other_chunks_behind_is_empty(self, tmp_path: Path) -> None:
        path = wav_of_length(tmp_path, 0)
        path.write_bytes(path.read_bytes()[:44] + b"LIST\4\0\0\0abcd")
        with refused("E_SOUND_EMPTY"):
            read_audio(path)

    @READERS
    @pytest.mark.parametrize(
        ("name", "settings"),
        [
            ("a.wav", {"endian": "BIG"}),
            ("a.wav", {"format": "RF64"}),
            ("a.w64", {}),
            ("a.aiff", {}),
            ("a.au", {}),
            ("a.ogg", {}),
        ],
    )
    def test_every_format_knows_its_own_end(
        self, tmp_path: Path, reader: Callable[[Path], object], name: str, settings: dict[str, Any]
    ) -> None:
        path = tmp_path / name
        soundfile.write(path, noise(40000), RATE, **settings)
        reader(path)
        assert len(read_audio(path).samples) == 40000
        content = path.read_bytes()
        for share in (0.2, 0.6, 0.95, 0.999):
            path.write_bytes(content[: int(share * len(content))])
            with refused("E_SOUND_TRUNCATED", where=name):
                reader(path)

    def test_a_page_that_is_missing_from_an_ogg_file_is_noticed(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.ogg", noise(40000), RATE)
        content = (tmp_path / "a.ogg").read_bytes()
        pages = content.split(b"OggS")
        (tmp_path / "a.ogg").write_bytes(b"OggS".join(pages[:4] + pages[5:]))
        with refused("E_SOUND_DAMAGED"):
            read_audio(tmp_path / "a.ogg")

    def test_flac_of_unknown_length_is_read_to_its_end(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.flac"
        soundfile.write(path, noise(20000), RATE)
        content = bytearray(path.read_bytes())
        content[21] &= 0xF0
        content[22:26] = bytes(4)
        path.write_bytes(content)
        sound, notes = examine_audio(path)
        np.testing.assert_array_equal(sound.samples, noise(20000))
        assert codes(notes) == ["N_SOUND_LENGTH"]

    @READERS
    @pytest.mark.parametrize("odd", [b"abc", b"data of many kinds", bytes(9)])
    @pytest.mark.parametrize("padding", [b"", b"\0"])
    def test_odd_chunks_are_read_with_and_without_padding(
        self, tmp_path: Path, reader: Callable[[Path], object], odd: bytes, padding: bytes
    ) -> None:
        path = wav_of_length(tmp_path, 1600)
        content = path.read_bytes()
        odd += b"x" * (1 - len(odd) % 2)
        chunk = b"JUNK" + len(odd).to_bytes(4, "little") + odd + padding
        path.write_bytes(content[:36] + chunk * 2 + content[36:] + chunk)
        reader(path)
        np.testing.assert_array_equal(read_audio(path).samples, noise(800))
        path.write_bytes(path.read_bytes()[:1000])
        with refused("E_SOUND_TRUNCATED"):
            reader(path)

    @READERS
    def test_a_second_sound_in_one_file_is_refused(
        self, tmp_path: Path, reader: Callable[[Path], object]
    ) -> None:
        path = wav_of_length(tmp_path, 1600)
        content = path.read_bytes()
        path.write_bytes(content + content[36:])
        with refused("E_SOUND_DAMAGED", where=path.name):
            reader(path)

    @pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_32"])
    def test_rare_codecs_are_read(self, tmp_path: Path, subtype: str) -> None:
        slow = np.sin(np.arange(8000) / 20) * 0.5
        soundfile.write(tmp_path / "a.wav", slow, 8000, subtype=subtype)
        samples = read_audio(tmp_path / "a.wav").samples[:8000, 0]
        assert np.abs(samples - slow)[200:].mean() < 0.05

    def test_silent_short_and_loud_sounds_are_remarked_on(self, tmp_path: Path) -> None:
        def notes(samples: NDArray[Any]) -> list[str]:
            soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
            return codes(examine_audio(tmp_path / "a.wav")[1])

        assert notes(tone()) == []
        assert notes(0 * tone()) == ["N_SOUND_SILENT"]
        assert notes(tone(0.05)) == ["N_SOUND_SHORT"]
        assert notes(32768 * tone()) == ["N_SOUND_SCALE"]

    def test_the_content_decides_whatever_the_name(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", noise(), RATE)
        (tmp_path / "a.wav").rename(tmp_path / "a.mp3")
        sound, notes = examine_audio(tmp_path / "a.mp3")
        np.testing.assert_array_equal(sound.samples, noise())
        assert "N_SOUND_FORMAT" in codes(notes)

    def test_opus_has_one_rate_whatever_the_name(self, tmp_path: Path) -> None:
        for name in ("a.opus", "a.ogg", "a.wav"):
            soundfile.write(tmp_path / name, tone(), RATE, format="OGG", subtype="OPUS")
            sound = read_audio(tmp_path / name)
            assert (sound.rate, sound.samples.shape) == (48000, (96000, 1))

    def test_a_name_need_not_be_text(self, tmp_path: Path) -> None:
        for suffix in (".wav", ".m4a"):
            path = tmp_path / os.fsdecode(b"\xff:" + suffix.encode())
            if suffix == ".wav":
                soundfile.write(tmp_path / "a.wav", noise(), RATE)
                (tmp_path / "a.wav").rename(path)
            else:
                encode(tmp_path / "a.m4a", tone())
                (tmp_path / "a.m4a").rename(path)
            assert read_audio(path).rate == RATE

    @READERS
    @pytest.mark.parametrize(
        "content", [b"no sound here", bytes(5000), b"RIFF\x04\0\0\0WAVE", b".snd"]
    )
    def test_other_content_is_refused(
        self, tmp_path: Path, reader: Callable[[Path], object], content: bytes
    ) -> None:
        (tmp_path / "clip.wav").write_bytes(content)
        with refused(kind=DataError, where="clip.wav"):
            reader(tmp_path / "clip.wav")

    @READERS
    def test_a_format_that_is_not_read_is_named(
        self, tmp_path: Path, reader: Callable[[Path], object]
    ) -> None:
        path = tmp_path / "clip.m4a"
        soundfile.write(path, np.zeros(1600, np.int16), RATE, format="CAF")
        with refused("E_SOUND_FORMAT", where="in the format CAF"):
            reader(path)
        path.write_bytes((b"G" + bytes(187)) * 10)
        with refused("E_SOUND_FORMAT", where="in the format MPEG-TS"):
            reader(path)

    def test_a_sound_that_claims_a_huge_length_is_not_decoded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert MAX_SAMPLES >= 3600 * 44100
        monkeypatch.setattr("ssl_bench.media.audio.MAX_SAMPLES", 1599)
        soundfile.write(tmp_path / "clip.wav", noise(800, channels=2), RATE)
        with refused("E_SOUND_TOO_LONG"):
            read_audio(tmp_path / "clip.wav")

    @READERS
    def test_a_file_of_zeros_is_not_searched_for_ever(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        reader: Callable[[Path], object],
    ) -> None:
        monkeypatch.setattr("ssl_bench.media.containers._Headers.left", 100)
        (tmp_path / "clip.wav").write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(2000))
        with refused("E_SOUND_DAMAGED", where="clip.wav"):
            reader(tmp_path / "clip.wav")

    def test_a_file_too_large_to_hold_is_not_copied(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ssl_bench.media.containers._MOST_MENDED", 1000)
        path = wav_of_length(tmp_path, 0xFFFFFFFE, outer=0xFFFFFFFF)
        assert contents_of(path).mended is None

    @READERS
    def test_a_missing_sound_is_named(
        self, tmp_path: Path, reader: Callable[[Path], object]
    ) -> None:
        with refused("E_FILE_MISSING", where="gone.wav"):
            reader(tmp_path / "gone.wav")


class TestContainers:
    @pytest.mark.parametrize("suffix", [".mp4", ".m4a", ".mkv"])
    def test_the_sound_track_keeps_rate_channels_and_length(
        self, tmp_path: Path, suffix: str
    ) -> None:
        path = tmp_path / f"clip{suffix}"
        encode(path, tone())
        sound = read_audio(path)
        assert sound.rate == RATE
        assert sound.samples.dtype == np.float32
        assert sound.samples.shape[1] == 2
        assert sound.seconds == pytest.approx(2.0, abs=0.15)
        assert probe_audio(path) == pytest.approx(2.0, abs=0.15)
        middle = sound.samples[RATE // 2 : RATE]
        assert middle[:, 0].std() == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
        assert np.abs(middle[:, 1]).max() < 0.01

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    @pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.85])
    def test_a_truncated_file_is_refused(self, tmp_path: Path, suffix: str, kept: float) -> None:
        path = tmp_path / f"clip{suffix}"
        encode(path, tone(), **({"movflags": "faststart"} if suffix == ".mp4" else {}))
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept)])
        with refused(kind=DataError, where="clip"):
            read_audio(path)

    @READERS
    def test_other_content_is_refused(
        self, tmp_path: Path, reader: Callable[[Path], object]
    ) -> None:
        (tmp_path / "clip.mp4").write_bytes(b"no video here" * 100)
        with refused("E_SOUND_DAMAGED", where="clip.mp4"):
            reader(tmp_path / "clip.mp4")

    @READERS
    def test_a_track_without_decoder_is_refused(self, reader: Callable[[Path], object]) -> None:
        with refused("E_SOUND_CODEC", where="sound-track-without-decoder.m4a"):
            reader(Path(__file__).parent / "sound-track-without-decoder.m4a")

    @READERS
    def test_a_silent_film_is_refused(
        self, tmp_path: Path, reader: Callable[[Path], object]
    ) -> None:
        path = tmp_path / "clip.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with refused("E_SOUND_TRACK"):
            reader(path)

    def test_a_huge_track_is_not_decoded_to_its_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encode(tmp_path / "clip.mp4", tone())
        monkeypatch.setattr("ssl_bench.media.audio.MAX_SAMPLES", 10_000)
        with refused("E_SOUND_TOO_LONG"):
            read_audio(tmp_path / "clip.mp4")

    @pytest.mark.parametrize("counted", ["1", "0"])
    def test_harmless_damage_of_mp3_is_skipped_with_a_remark(
        self, tmp_path: Path, counted: str
    ) -> None:
        path = tmp_path / "clip.mp3"
        encode(path, tone(4), "libmp3lame", write_xing=counted)
        content, middle = path.read_bytes(), path.stat().st_size // 2
        whole, notes = examine_audio(path)
        assert codes(notes) == ([] if counted == "1" else ["N_SOUND_LENGTH"])
        for changed, seconds in {
            content + bytes(4096): whole.seconds,
            content + b"text " * 800: whole.seconds,
            content[:middle] + content[middle + 600 :]: whole.seconds - 0.1,
            content[:middle] + bytes(600) + content[middle + 600 :]: whole.seconds - 0.1,
            content + content: 2 * whole.seconds,
        }.items():
            path.write_bytes(changed)
            assert read_audio(path).seconds == pytest.approx(seconds, abs=0.25)
        path.write_bytes(content[:middle] + bytes(600) + content[middle + 600 :])
        assert "N_SOUND_DAMAGE" in codes(examine_audio(path)[1])
        if counted == "1":
            path.write_bytes(content[:middle])
            with refused("E_SOUND_TRUNCATED"):
                read_audio(path)

    @pytest.mark.parametrize("rate", [16000, 44100])
    def test_a_few_missing_frames_of_mp3_are_remarked_on(self, tmp_path: Path, rate: int) -> None:
        path = tmp_path / "clip.mp3"
        for length in range(rate, rate + 1200, 371):
            samples = (noise(length)[:, 0] / 32768).astype(np.float32)
            encode(path, samples, "libmp3lame", rate)
            assert codes(examine_audio(path)[1]) == []
        content = path.read_bytes()
        path.write_bytes(content[: int(0.88 * len(content))])
        assert "N_SOUND_LENGTH" in codes(examine_audio(path)[1])

    @pytest.mark.parametrize(
        ("name", "codec", "kind"),
        [
            ("a.m4a", "alac", np.float64),
            ("a.mkv", "pcm_s16le", np.int16),
            ("a.mkv", "pcm_s24le", np.float64),
        ],
    )
    def test_what_is_stored_without_loss_keeps_its_integers(
        self, tmp_path: Path, name: str, codec: str, kind: type
    ) -> None:
        encode(tmp_path / name, tone(), codec)
        samples = read_audio(tmp_path / name).samples
        assert samples.dtype == kind
        scale = 32768 if kind is np.int16 else 1
        np.testing.assert_allclose(samples[:, 0] / scale, tone(), atol=1e-4)
