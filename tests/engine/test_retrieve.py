"""The engine on protocols that ask for a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from refusals import refused
from standins import MemoryTestSet, protocol, sample, trials_of

from ssl_bench.engine import pairs
from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.predict import Predicted, predict
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import AnnotationLocalizer, Features, Localizer
from ssl_bench.models.trivial import Center
from ssl_bench.predictions import open_predictions
from ssl_bench.trials.compositions import compose
from ssl_bench.trials.trial_set import TrialSet

MEASURES = ("recall(a2i)@1", "recall(i2a)@1")


class Loudness(Localizer):
    """Compares the mean of the pixels with the mean of the sound, and counts what it encodes."""

    name = "loudness"

    def __init__(self) -> None:
        self.images = self.sounds = 0

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        self.images += len(images)
        return {"mean": np.array([image.mean() for image in images], np.float32)}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        self.sounds += len(sounds)
        return {"mean": np.array([sound.samples.mean() for sound in sounds], np.float32)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        both = image_features["mean"] + audio_features["mean"]
        return np.broadcast_to(both[:, None, None], (len(both), 2, 2)).astype(np.float32)

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        return -np.abs(image_features["mean"][:, None] - audio_features["mean"][None])


class Mute(Loudness):
    name = "mute"
    similarity = Localizer.similarity


class Deaf(Loudness):
    name = "deaf"
    audio_blind = True


class Wrong(Loudness):
    name = "wrong"

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        return super().similarity(image_features, audio_features).T[:1]


def trials(count: int = 5) -> TrialSet:
    return trials_of([sample(f"s{n}") for n in range(count)], "retrieval", measures=MEASURES)


def predicted(
    model: Localizer | AnnotationLocalizer,
    asked: TrialSet,
    folder: Path,
    options: EngineOptions | None = None,
) -> Predicted:
    (written,) = predict(model, [(asked, folder)], options)
    return written


def expected(asked: TrialSet) -> NDArray[np.float32]:
    model = Loudness()
    images = model.encode_image([asked.image(trial.image) for trial in asked])
    sounds = model.encode_audio([asked.waveform(trial.audio) for trial in asked])
    return model.similarity(images, sounds)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_similarities_of_all_images_with_all_sounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setattr(pairs, "_BLOCK", 2)
    asked = trials()
    written = predicted(Loudness(), asked, tmp_path, EngineOptions(batch_size=batch_size))
    predictions = open_predictions(written.predictions)
    assert predictions.trial_ids == tuple(asked.ids)
    found = np.concatenate([block for _, block in predictions.iter_similarity()])
    np.testing.assert_array_equal(found, expected(asked))
    assert written.vision_only is None
    assert written.vision_only_note == "a ranking of sounds has no audio-blind form"


def test_each_image_and_sound_is_encoded_once_for_all_protocols(tmp_path: Path) -> None:
    test_set = MemoryTestSet([sample(f"s{n}") for n in range(4)])
    suite = [
        compose(protocol(), test_set),
        compose(protocol("retrieval", measures=MEASURES), test_set),
    ]
    model = Loudness()
    maps, ranking = predict(
        model, [(each, tmp_path / each.protocol.composition.kind) for each in suite]
    )
    assert (model.images, model.sounds) == (4, 4)
    assert "map" in open_predictions(maps.predictions).members
    assert open_predictions(ranking.predictions).members == {"trial_id", "similarity", "meta"}


def test_samples_that_share_a_sound_share_its_column(tmp_path: Path) -> None:
    samples = [sample("a"), replace(sample("b"), sound_of="a"), sample("c")]
    asked = trials_of(samples, "retrieval", measures=MEASURES)
    model = Loudness()
    path = predicted(model, asked, tmp_path).predictions
    assert (model.images, model.sounds) == (3, 2)
    (_, found), *_ = open_predictions(path).iter_similarity()
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    assert (found[:, 0] != found[:, 2]).any()


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Mute(), "mute declares no image-sound similarity"),
        (Deaf(), "deaf never listens, so it cannot compare images with sounds"),
        (Center(), "center neither looks nor listens, so it cannot rank"),
    ],
)
def test_a_model_that_cannot_rank_is_refused_before_any_work(
    tmp_path: Path, model: Loudness | Center, problem: str
) -> None:
    with refused("E_MODEL_NO_SIMILARITY", where=problem):
        predicted(model, trials(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    if isinstance(model, Loudness):
        assert model.images == model.sounds == 0


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    with refused("E_MODEL_SIMILARITY", where="(1, 5)"):
        predicted(Wrong(), trials(), tmp_path)
    assert not (tmp_path / "predictions.npz").exists()
