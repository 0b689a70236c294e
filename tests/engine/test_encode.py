"""Each distinct image and sound is encoded once, however many trials pair them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.engine.encode import EngineOptions, LocalizedBatch, content_of, localize
from ssl_bench.engine.plan import Plan
from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.protocols.protocol import TestSetTable, load_protocol
from ssl_bench.trials.compositions import compose, open_trials
from ssl_bench.trials.trial_set import TrialSet


class Counting(Localizer):
    """A localizer of 2x3 maps that tells how often it was asked."""

    name = "counting"

    def __init__(self) -> None:
        self.images: list[bytes] = []
        self.sounds: list[bytes] = []
        self.calls = 0

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        self.calls += 1
        self.images += [image.tobytes() for image in images]
        return {"level": np.array([image.mean() for image in images], np.float32)}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        self.calls += 1
        self.sounds += [sound.samples.tobytes() for sound in sounds]
        return {"level": np.array([sound.as_float().std() for sound in sounds], np.float32)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        self.calls += 1
        level = image_features["level"] * audio_features["level"]
        return level[:, None, None] * np.arange(6, dtype=np.float32).reshape(1, 2, 3)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        return image_features["level"][:, None, None] * np.ones((1, 2, 3), np.float32)


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    protocol = load_protocol("concat")
    table = TestSetTable(name="synth", split="standard", options={"count": 14})
    return open_trials(protocol.model_copy(update={"test_set": table}))


def localized(
    model: Localizer, trials: TrialSet, *, vision_only: bool = False, **settings: Any
) -> list[LocalizedBatch]:
    options = EngineOptions(**settings)
    return [
        batch
        for _, batch in localize(
            model, Plan([trials], [vision_only], listens=not model.audio_blind), options
        )
    ]


def collect(batches: list[LocalizedBatch]) -> dict[str, NDArray[np.float32]]:
    return {
        name: heat
        for batch in batches
        for name, heat in zip(batch.trial_ids, batch.maps, strict=True)
    }


def test_one_pass_per_composite_and_per_sound(trials: TrialSet) -> None:
    model = Counting()
    localized(model, trials, vision_only=True)
    composites = {trial.image for trial in trials}
    sounds = {trial.audio for trial in trials}
    assert len(trials) == 2 * len(composites) == len(sounds)
    assert len(model.images) == len(set(model.images)) == len(composites)
    assert len(model.sounds) == len(set(model.sounds)) == len(sounds)


def test_every_trial_gets_its_own_map(trials: TrialSet) -> None:
    found = collect(localized(Counting(), trials))
    assert set(found) == set(trials.ids)
    for trial in trials:
        expected = trials.image(trial.image).mean() * trials.waveform(trial.audio).as_float().std()
        np.testing.assert_allclose(found[trial.id][1, 2], 5 * expected, rtol=1e-5)


@pytest.mark.parametrize(("batch_size", "jobs"), [(1, 1), (3, 2), (100, 1)])
def test_batch_size_and_jobs_change_nothing(trials: TrialSet, batch_size: int, jobs: int) -> None:
    expected = collect(localized(Counting(), trials, batch_size=4))
    found = collect(localized(Counting(), trials, batch_size=batch_size, jobs=jobs))
    for name, heat in expected.items():
        np.testing.assert_array_equal(found[name], heat)


def test_audio_blind_maps_belong_to_images(trials: TrialSet) -> None:
    for batch in localized(Counting(), trials, batch_size=3, vision_only=True):
        assert batch.blind_maps is not None
        for name, owner in zip(batch.trial_ids, batch.blind_index, strict=True):
            image = trials.image(trials.trials[trials.index[name]].image)
            assert batch.blind_maps[owner][0, 0] == pytest.approx(image.mean(), rel=1e-5)


def test_an_audio_blind_model_hears_nothing(trials: TrialSet) -> None:
    class Blind(Counting):
        audio_blind = True

        def localize(self, image_features: Features, audio_features: Features):
            assert audio_features == {}
            return self.vision_only(image_features)

    model = Blind()
    assert set(collect(localized(model, trials))) == set(trials.ids)
    assert model.sounds == []


def test_progress_reaches_the_end(trials: TrialSet) -> None:
    seen: list[tuple[str, int, int]] = []
    localized(Counting(), trials, batch_size=4, progress=lambda *step: seen.append(step))
    last = {what: (done, of) for what, done, of in seen}
    assert last == {
        "sounds": (len(trials), len(trials)),
        "images": (len(trials) // 2, len(trials) // 2),
    }


class TestBrokenModels:
    def test_too_few_rows(self, trials: TrialSet) -> None:
        class Lazy(Counting):
            def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
                return {"level": np.zeros(max(len(images) - 1, 0), np.float32)}

        with refused("E_MODEL_FEATURES", where="Lazy.encode_image"):
            localized(Lazy(), trials)

    @pytest.mark.parametrize("shape", [(2, 3), (1, 0, 3), (0, 2, 3)])
    def test_maps_of_a_wrong_shape(self, trials: TrialSet, shape: tuple[int, ...]) -> None:
        class Odd(Counting):
            def localize(self, image_features: Features, audio_features: Features):
                return np.zeros(shape, np.float32)

        with refused("E_MODEL_MAPS", where="Odd.localize"):
            localized(Odd(), trials)

    def test_values_that_are_not_finite_name_the_method(self, trials: TrialSet) -> None:
        class Broken(Counting):
            def vision_only(self, image_features: Features) -> NDArray[np.float32]:
                return np.full((len(image_features["level"]), 2, 3), np.nan, np.float32)

        with refused("E_NOT_FINITE", where="Broken.vision_only") as caught:
            localized(Broken(), trials, vision_only=True)
        assert caught.value.remedy

    def test_a_tensor_of_features_names_the_method(self, trials: TrialSet) -> None:
        class Bare(Counting):
            def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
                return torch.ones(len(sounds))  # type: ignore[return-value]

        with refused("E_MODEL_FEATURES", where="Bare.encode_audio returned a Tensor"):
            localized(Bare(), trials)

    def test_tensors_come_back_as_arrays(self, trials: TrialSet) -> None:
        class Attached(Counting):
            def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
                level = torch.ones(len(images), requires_grad=True)
                return {"level": level}  # type: ignore[dict-item]

            def localize(
                self, image_features: Features, audio_features: Features
            ) -> NDArray[np.float32]:
                assert isinstance(image_features["level"], np.ndarray)
                count = len(image_features["level"])
                return torch.ones(count, 2, 3, requires_grad=True)  # type: ignore[return-value]

        assert sum(len(batch.trial_ids) for batch in localized(Attached(), trials)) == len(trials)

    def test_whole_numbers_are_no_maps(self, trials: TrialSet) -> None:
        class Whole(Counting):
            def localize(self, image_features: Features, audio_features: Features):
                return np.zeros((len(image_features["level"]), 2, 3), np.int64)

        with refused("E_MODEL_MAPS", where="int64"):
            localized(Whole(), trials)

    def test_a_refused_sound_is_named(self, trials: TrialSet) -> None:
        culprit = trials.trials[3].audio

        class Picky(Counting):
            def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
                wanted = trials.waveform(culprit).samples
                if any(np.array_equal(sound.samples, wanted) for sound in sounds):
                    raise DataError("its rate is wrong", code="E_RATE", remedy="resample it")
                return super().encode_audio(sounds)

        with refused("E_RATE", where=f"{culprit.key}: its rate is wrong"):
            localized(Picky(), trials)


@pytest.fixture(scope="module")
def suite(trials: TrialSet) -> list[TrialSet]:
    single = load_protocol("synth").model_copy(
        update={"test_set": trials.protocol.test_set, "name": "single"}
    )
    return [trials, open_trials(single), compose(single, trials.test_set)]


class TestSuite:
    def test_audio_blind_maps_belong_to_the_images_of_each_protocol(
        self, suite: list[TrialSet]
    ) -> None:
        options = EngineOptions(batch_size=5)
        for number, batch in localize(
            Counting(), Plan(suite, [True, False, True], listens=True), options
        ):
            assert (batch.blind_maps is None) == (number == 1)
            for name, owner in zip(batch.trial_ids, batch.blind_index, strict=True):
                trials = suite[number]
                image = trials.image(trials.trials[trials.index[name]].image)
                if batch.blind_maps is not None:
                    assert batch.blind_maps[owner][0, 0] == pytest.approx(image.mean(), rel=1e-5)

    def test_an_image_or_sound_is_encoded_once_for_the_whole_suite(
        self, suite: list[TrialSet]
    ) -> None:
        model = Counting()
        list(localize(model, Plan(suite, [True, False, True], listens=True), EngineOptions()))
        assert len(model.sounds) == len(set(model.sounds)) == 14
        assert len(model.images) == len(set(model.images)) == 7 + 14

    def test_each_protocol_gets_what_it_gets_alone(self, suite: list[TrialSet]) -> None:
        together: list[list[LocalizedBatch]] = [[] for _ in suite]
        for number, batch in localize(
            Counting(), Plan(suite, [False] * 3, listens=True), EngineOptions()
        ):
            together[number].append(batch)
        for trials, batches in zip(suite, together, strict=True):
            alone = collect(localized(Counting(), trials))
            found = collect(batches)
            assert set(found) == set(alone)
            for name, heat in alone.items():
                np.testing.assert_array_equal(found[name], heat)


@pytest.mark.parametrize(
    "other",
    [
        Waveform(np.zeros((4, 1), np.int16), 4000),
        Waveform(np.zeros((4, 1), np.float16), 8000),
        Waveform(np.zeros((2, 2), np.int16), 8000),
        Waveform(np.ones((4, 1), np.int16), 8000),
    ],
    ids=["rate", "type", "channels", "samples"],
)
def test_sounds_are_one_only_if_everything_in_them_is_equal(other: Waveform) -> None:
    silence = np.zeros((4, 1), np.int16)
    assert content_of(Waveform(silence, 8000)) == content_of(Waveform(silence.copy(), 8000))
    assert content_of(Waveform(silence, 8000)) != content_of(other)
