"""A model that asks for video gets frames in place of pictures, in every protocol and face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_clips import LevelMatcher, make_vggss
from made_videos import Made, make_video
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.analysis.localizing import locate
from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.parts import parts_folder
from ssl_bench.engine.plan import Plan
from ssl_bench.engine.predict import predict
from ssl_bench.engine.usable import check_trials
from ssl_bench.errors import DataError, ModelError, PredictionsError
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.provenance import Provenance
from ssl_bench.predictions import open_predictions
from ssl_bench.scoring.checks import require_deaf
from ssl_bench.trials.compositions import open_trials

VIDEO = VideoInput(frames=3, rate=10)


class Moving(LevelMatcher):
    """How far pixels change over the frames, over the level of the middle one."""

    name = "moving"
    video_input = VIDEO
    provenance = Provenance("moving")

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        assert all(each.ndim == 4 and len(each) == 3 for each in images)
        spread = [np.ptp(each[..., 0].astype(np.float32), axis=0)[::8, ::8] for each in images]
        return {"spread": np.stack(spread)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        return image_features["spread"] + 0 * audio_features["level"][:, :, None]


class Blind(LevelMatcher):
    """A prior that looks at pictures."""

    name = "blind"
    audio_blind = True

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        assert all(each.ndim == 3 for each in images)
        return {"map": np.stack([each[::8, ::8, 0].astype(np.float32) for each in images])}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        return image_features["map"]


def test_frames_are_composed_as_pictures_are(tmp_path: Path) -> None:
    trials = open_trials("concat")[:4]
    for trial in trials:
        frames = trials.shown(trial, VIDEO)
        assert (frames[1] == trials.image(trial.image)).all()
        left, right = (trials.test_set.frames(sample, VIDEO) for sample, _ in trial.image.parts)
        assert np.abs(np.diff(frames.astype(int), axis=0)).any(axis=(0, 1, 3)).sum() > 2
        assert frames.shape[1:] == left.shape[1:] == right.shape[1:]
    [written] = predict(Moving(), [(trials, tmp_path)])
    assert len(open_predictions(written.predictions)) == len(trials)


def test_trials_of_one_picture_have_frames_of_their_own_sound() -> None:
    trials = open_trials("interactive")[:2]
    assert trials[0].image == trials[1].image
    recipes = [trials.video_recipe(trial, VIDEO) for trial in trials]
    assert [each.parts[0][0] for each in recipes] == trials.ids
    assert len(Plan([trials], [False], listens=True).images) == 1
    plan = Plan([trials], [False], listens=True, video=VIDEO)
    assert len(plan.images) == 2
    assert [each.read().shape for each in plan.images] == [(3, 128, 128, 3)] * 2


def test_parts_of_another_request_are_others(tmp_path: Path) -> None:
    options = EngineOptions(parts=tmp_path)
    trials = open_trials("synth")[:2]
    asked = (None, VIDEO, VideoInput(frames=5, rate=10))
    plans = [Plan([trials], [False], listens=True, video=video) for video in asked]
    assert len({parts_folder(Moving(), plan, options) for plan in plans}) == 3


def test_a_test_set_in_a_folder_reads_its_videos(tmp_path: Path) -> None:
    make_vggss(tmp_path, 4)
    folder = tmp_path / "vggss"
    trials = open_trials("vggss", tmp_path)
    with refused("E_NO_VIDEO", where="vggss", kind=DataError):
        predict(Moving(), [(trials, tmp_path / "out")])
    with refused("E_NO_VIDEO", where="vggss", kind=DataError):
        check_trials(Moving(), [trials])
    assert check_trials(LevelMatcher(), [trials])[1] == [[0, 1, 2, 3]]
    (folder / "videos").mkdir()
    for name in trials.ids[1:]:
        make_video(folder / "videos" / f"{name}.mp4", Made(count=20))
    trials = open_trials("vggss", tmp_path)
    checked, kept = check_trials(Moving(), [trials])
    assert kept == [[1, 2, 3]]
    missing = [each for each in checked if each.problem is not None]
    assert [(each.item, each.kind) for each in missing] == [(trials.ids[0], "video")]
    usable = trials.part(kept[0], rest_fails=False)
    frames = usable.shown(usable[0], VIDEO)
    assert frames.shape == (3, 30, 40, 3)
    assert (frames[1] == usable[0].picture()).all()
    assert (frames[0] != frames[1]).any()
    assert len(predict(Moving(), [(usable, tmp_path / "out")])) == 1


def test_a_still_picture_is_refused_with_what_is_needed() -> None:
    silence = Waveform(np.zeros((99, 1), np.int16), 16000)
    with refused("E_MODEL_VIDEO", kind=ModelError):
        locate(Moving(), [np.zeros((32, 32, 3), np.uint8)], [silence])
    [found] = locate(Moving(), [np.zeros((3, 32, 32, 3), np.uint8)], [silence])
    assert found.raw.shape == (4, 4)


def test_a_prior_that_looks_at_pictures_is_given_the_middle_frame() -> None:
    mixed = ObjectGuided(Moving(), Blind(), 0.5)
    assert mixed.video_input == VIDEO
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    frames[1, :16] = 255
    prepared = mixed.prepare_image(frames)
    assert mixed.encode_prepared_images([prepared])["prior.map"][0, 0, 0] == 255


@pytest.mark.parametrize("model", [LevelMatcher, Blind])
def test_a_prior_that_needs_video_is_mixed_with_no_other_model(model: type[Localizer]) -> None:
    class MovingPrior(Blind):
        video_input = VIDEO

    with refused("E_PRIOR_VIDEO", kind=ModelError):
        ObjectGuided(model(), MovingPrior(), 0.5)


def test_only_trials_of_the_same_frames_show_whether_maps_follow_the_sound(tmp_path: Path) -> None:
    trials = open_trials("interactive")[:4]

    class MovingBlind(Moving):
        name = "moving-blind"
        provenance = None

        def vision_only(self, image_features: Features) -> NDArray[np.float32]:
            return np.asarray(image_features["spread"], np.float32)

    [written] = predict(MovingBlind(), [(trials, tmp_path)])
    assert written.vision_only is not None
    blind = open_predictions(written.vision_only)
    assert blind.meta.provenance["video"] == "3 frames at 10 a second around each picture"
    require_deaf(blind, trials)
    listening = [np.full((2, 2), 1, np.float32), np.full((2, 2), 2, np.float32)] * 2
    listening = [each + np.eye(2, dtype=np.float32) for each in listening]
    trials.save(tmp_path / "pictures.npz", np.stack(listening), model="own")
    with refused("E_BLIND_LISTENS", kind=PredictionsError):
        require_deaf(open_predictions(tmp_path / "pictures.npz"), trials)
