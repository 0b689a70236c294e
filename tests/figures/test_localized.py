"""One picture and one sound, or one video, by one or several models."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_videos import make_video, number_of
from numpy.typing import NDArray
from PIL import Image
from refusals import refused

import ssl_bench
from ssl_bench.errors import ModelError
from ssl_bench.figures.localized_video import VideoOptions, localize_video
from ssl_bench.media.video import open_video
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer

LOUD, SOFT = (Waveform(np.full((1600, 1), level, np.int16), 16000) for level in (9000, 10))
IMAGE = np.zeros((60, 80, 3), np.uint8)


class Sided(Localizer):
    """A loud sound comes from the upper left, a soft one from the lower right."""

    name = "sided"

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        return {"none": np.zeros((len(images), 1))}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        return {"loud": np.array([np.abs(each.samples).mean() > 1000 for each in sounds])}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        corner = np.zeros((4, 4), np.float32)
        corner[0, 0] = 1
        loud = audio_features["loud"]
        return np.stack([corner if each else corner[::-1, ::-1] for each in loud])


class Blind(Sided):
    name = "blind"
    audio_blind = True

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        return np.full((len(image_features["none"]), 2, 2), 3, np.float32)


class Guessing(Sided):
    name = "guessing"

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        return np.eye(3, dtype=np.float32)[None]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "clip.mp4")


class TestArrays:
    def test_the_map_is_that_of_the_sound(self) -> None:
        found = ssl_bench.localize(IMAGE, LOUD, Sided())
        assert found.heat.shape == (224, 224)
        assert (found.heat.min(), found.heat.max()) == (0, 1)
        assert found.predicted[0, 0]
        assert found.peak == (0, 0)
        assert ssl_bench.localize(IMAGE, SOFT, Sided()).peak == (79, 59)

    def test_the_audio_blind_map_stands_beside_it_or_why_there_is_none(self) -> None:
        named = [Sided(), Blind(), Guessing()]
        sided, blind, guessing = ssl_bench.localize(IMAGE, LOUD, named).models
        assert sided.blind is None
        assert "sided" in sided.blind_note
        assert blind.blind is None
        assert "blind" in blind.blind_note
        assert guessing.blind is not None
        assert guessing.blind[0, 0] == 1
        assert guessing.blind_note == ""

    def test_files_and_names_of_models_are_read(self, tmp_path: Path) -> None:
        Image.fromarray(IMAGE).save(tmp_path / "a.png")
        soundfile.write(tmp_path / "a.wav", np.ones(16000, np.int16), 16000)
        files = (str(tmp_path / "a.png"), str(tmp_path / "a.wav"))
        with refused("E_SOUND_RATE"):
            ssl_bench.localize(*files)
        found = ssl_bench.localize(*files, ["ezvsl", "center"], resample=True)
        assert [each.model for each in found.models] == ["ezvsl", "center"]

    def test_what_cannot_be_localized_is_refused(self) -> None:
        with refused("E_MODEL_TRUTH"):
            ssl_bench.localize(IMAGE, LOUD, "oracle")
        with refused("E_IMAGE_FORM"):
            ssl_bench.localize(IMAGE[..., 0], LOUD, Sided())

        class Broken(Sided):
            def localize(self, image_features: Features, audio_features: Features):  # type: ignore[no-untyped-def]
                return np.full((1, 2, 2), np.nan, np.float32)

        with refused("E_NOT_FINITE", kind=ModelError):
            ssl_bench.localize(IMAGE, LOUD, Broken())


class TestFigure:
    def test_it_draws_itself_in_a_notebook(self) -> None:
        found = ssl_bench.localize(IMAGE, LOUD, [Sided(), Guessing()])
        one = ssl_bench.localize(IMAGE, LOUD, Sided())
        sizes = [Image.open(io.BytesIO(each._repr_png_())).size for each in (one, found)]
        # A further row, and the column of the audio-blind map.
        assert sizes[1][0] > sizes[0][0]
        assert sizes[1][1] > 1.7 * sizes[0][1]
        texts = [text.get_text() for text in found.plot().texts]
        assert texts[:3] == ["image", "map", "audio-blind map"]
        assert {"sided", "guessing", "predicted pixels", "highest", "no map"} <= set(texts)

    @pytest.mark.parametrize(
        ("ending", "first"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
    )
    def test_it_is_written_by_its_ending_with_the_same_bytes(
        self, ending: str, first: bytes, tmp_path: Path
    ) -> None:
        found = ssl_bench.localize(IMAGE, LOUD, Sided())
        for name in "ab":
            found.save(tmp_path / f"{name}.{ending}")
        content = (tmp_path / f"a.{ending}").read_bytes()
        assert content.startswith(first)
        assert content == (tmp_path / f"b.{ending}").read_bytes()

    def test_another_ending_is_refused(self, tmp_path: Path) -> None:
        with refused("E_PICTURE_FORMAT"):
            ssl_bench.localize(IMAGE, LOUD, Sided()).save(tmp_path / "a.gif")
        assert not list(tmp_path.iterdir())


class TestVideo:
    def test_it_has_the_pictures_under_the_maps_and_the_sound(
        self, video: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "out.mp4"
        assert localize_video(video, target, [Sided(), Blind()]) == 75
        with open_video(target) as made:
            shown = list(made.pictures())
            heard = made.sound(16_000)
        seconds, pictures = zip(*shown, strict=True)
        assert seconds == pytest.approx([number / 25 for number in range(75)], abs=0.01)
        assert pictures[0].shape == (80, 256, 3)
        # High is yellow, low is blue: the tone is loud from beginning to end.
        corner, opposite = pictures[40][:4, :4], pictures[40][-4:, 120:124]
        for part, is_high in ((corner, True), (opposite, False)):
            red, _, blue = part.mean(axis=(0, 1))
            assert (red > blue + 20, blue > red + 20) == (is_high, not is_high)
        assert heard.seconds == pytest.approx(3, abs=0.1)

    def test_each_map_is_made_of_the_sound_around_it(self, video: Path, tmp_path: Path) -> None:
        lengths: list[float] = []

        class Noting(Sided):
            def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
                lengths.extend(each.seconds for each in sounds)
                return super().encode_audio(sounds)

        options = VideoOptions(maps=2.0, window=1.5)
        localize_video(video, tmp_path / "out.mp4", [Noting()], options)
        assert lengths == [1.5] * 6

    def test_a_model_that_needs_video_gets_the_frames_around(
        self, video: Path, tmp_path: Path
    ) -> None:
        numbers: list[list[int]] = []

        class Moving(Sided):
            video_input = ssl_bench.VideoInput(frames=3, rate=5)

            def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
                numbers.extend([number_of(frame) for frame in clip] for clip in images)
                return super().encode_image(images)

        localize_video(video, tmp_path / "out.mp4", [Moving(), Sided()], VideoOptions(maps=1.0))
        assert numbers == [[0, 0, 5], [20, 25, 30], [45, 50, 55]]

    def test_bad_input_leaves_nothing(self, tmp_path: Path) -> None:
        target = tmp_path / "out.mp4"
        (tmp_path / "text.mp4").write_text("no video")
        with refused("E_VIDEO_DAMAGED"):
            localize_video(tmp_path / "text.mp4", target, [Sided()])
        with refused("E_PICTURE_FORMAT"):
            localize_video(tmp_path / "text.mp4", tmp_path / "out.png", [Sided()])
        assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


def test_names_take_settings_by_their_names_and_models_none() -> None:
    found = ssl_bench.localize(IMAGE, LOUD, "random", seed=3, settings={"resolution": 5})
    assert found.models[0].heat.shape == found.heat.shape
    with refused("E_SETTING"):
        ssl_bench.localize(IMAGE, LOUD, Sided(), settings={"resolution": 5})
    with pytest.raises(TypeError):
        ssl_bench.localize(IMAGE, LOUD, "random", resolution=5)  # type: ignore[call-arg]
