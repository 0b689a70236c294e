from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from refusals import refused
from torch.nn import functional

from ssl_bench.errors import ModelError
from ssl_bench.measures.interpolation import upsample
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.ezvsl import EZVSL
from ssl_bench.models.mixing import mix, unmix
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.object_prior import ObjectPrior
from ssl_bench.models.provenance import describe
from ssl_bench.models.recipes import ObjectGuidance, checked
from ssl_bench.models.registry import default_alpha, load_localizer
from ssl_bench.protocols.conventions import Interpolation

Maps = NDArray[np.float32]
Pictures = list[NDArray[np.uint8]]


def _grids(side: int) -> st.SearchStrategy[Maps]:
    values = st.integers(-50, 50).map(lambda step: step / 8)
    return hnp.arrays(np.float32, (2, side, side), elements=values)


def _unit(maps: Maps) -> Maps:
    """Min-max normalised maps at 224x224; flat ones are zero."""
    up = functional.interpolate(
        torch.from_numpy(maps)[:, None], size=(224, 224), mode="bilinear", align_corners=True
    )[:, 0].numpy()
    flat = np.ptp(maps, axis=(1, 2)) == 0
    low, high = up.min(axis=(1, 2), keepdims=True), up.max(axis=(1, 2), keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = (up - low) / (high - low)
    unit[flat] = 0
    return unit


def _up(maps: Maps) -> Maps:
    return functional.interpolate(
        torch.from_numpy(maps)[:, None], size=(224, 224), mode="bilinear", align_corners=True
    )[:, 0].numpy()


@pytest.mark.slow
@given(_grids(5), _grids(5), st.floats(0, 1))
def test_on_equal_grids_the_enlarged_mix_is_the_mix_of_the_enlarged(
    heard: Maps, seen: Maps, alpha: float
) -> None:
    mixed = mix(heard, seen, alpha)
    assert mixed.shape == heard.shape
    assert mixed.dtype == np.float32
    expected = alpha * _unit(heard) + (1 - alpha) * _unit(seen)
    np.testing.assert_allclose(_up(mixed), expected, atol=1e-5)


@pytest.mark.slow
@given(_grids(3), _grids(6), st.floats(0, 1))
def test_on_different_grids_the_mix_is_given_enlarged(
    heard: Maps, seen: Maps, alpha: float
) -> None:
    mixed = mix(heard, seen, alpha)
    assert mixed.shape == (2, 224, 224)
    np.testing.assert_allclose(mixed, alpha * _unit(heard) + (1 - alpha) * _unit(seen), atol=1e-6)


@given(_grids(3), _grids(6), st.floats(0, 1))
def test_a_guidance_may_name_another_grid(heard: Maps, seen: Maps, alpha: float) -> None:
    mixed = mix(heard, seen, alpha, ObjectGuidance(grid=14))
    expected = [
        alpha * _scaled(upsample(h, 14, "bilinear-corners"))
        + (1 - alpha) * _scaled(upsample(s, 14, "bilinear-corners"))
        for h, s in zip(heard, seen, strict=True)
    ]
    np.testing.assert_allclose(mixed, expected, atol=1e-5)


@given(_grids(3), st.sampled_from([3, 6]), st.floats(0.1, 1))
def test_a_mix_can_be_taken_apart_where_the_prior_is_known(
    heard: Maps, side: int, alpha: float
) -> None:
    seen = np.random.default_rng(0).random((2, side, side), dtype=np.float32)
    found = unmix(mix(heard, seen, alpha), seen, alpha)
    expected = _unit(heard) if side == 6 else mix(heard, seen, 1.0)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_extremes_between_the_cells_of_the_grid_count_after_upsampling() -> None:
    peak = np.zeros((1, 7, 7), np.float32)
    peak[0, 3, 3] = 1.0  # no pixel of the 224 grid lies exactly on this cell
    assert mix(peak, np.zeros_like(peak), 1.0).max() > 1.001


def test_a_flat_map_contributes_nothing() -> None:
    prior = np.arange(49, dtype=np.float32).reshape(1, 7, 7)
    flat = np.full((1, 7, 7), 0.37, np.float32)
    np.testing.assert_array_equal(mix(flat, prior, 0.4), np.float32(0.6) * mix(prior, prior, 0.0))


@pytest.mark.parametrize("upsampling", get_args(Interpolation))
def test_what_is_equal_in_both_maps_is_equal_in_the_mix(upsampling: Interpolation) -> None:
    heard, seen = np.full((1, 7, 7), 0.37, np.float32), np.full((1, 14, 14), 0.1, np.float32)
    heard[0, :2, :2] = seen[0, :3, :3] = 1
    mixed = mix(heard, seen, 0.4, ObjectGuidance(upsampling=upsampling))
    assert np.ptp(mixed[0, 130:, 130:]) == 0


def test_alpha_one_ranks_as_the_audio_visual_map_and_zero_as_the_prior(
    small_ezvsl: EZVSL, small_prior: ObjectPrior, pictures: Pictures, clips: list[Waveform]
) -> None:
    for alpha, alone in ((1.0, small_ezvsl), (0.0, small_prior)):
        guided = ObjectGuided(small_ezvsl, small_prior, alpha)
        maps = guided.localize(guided.encode_image(pictures), guided.encode_audio(clips))
        expected = alone.localize(alone.encode_image(pictures), alone.encode_audio(clips))
        # The 1x1 picture is plain: rounding decides its order.
        for index in (0, 1, 3):
            assert np.corrcoef(maps[index].ravel(), expected[index].ravel())[0, 1] > 0.99999


def test_similarity_is_that_of_the_audio_visual_model(
    small_ezvsl: EZVSL, small_prior: ObjectPrior, pictures: Pictures, clips: list[Waveform]
) -> None:
    guided = ObjectGuided(small_ezvsl, small_prior)
    np.testing.assert_array_equal(
        guided.similarity(guided.encode_image(pictures), guided.encode_audio(clips)),
        small_ezvsl.similarity(small_ezvsl.encode_image(pictures), small_ezvsl.encode_audio(clips)),
    )


def test_the_audio_blind_map_is_the_prior_where_the_model_has_none(
    small_ezvsl: EZVSL, small_prior: ObjectPrior, pictures: Pictures
) -> None:
    guided = ObjectGuided(small_ezvsl, small_prior)
    np.testing.assert_array_equal(
        guided.vision_only(guided.encode_image(pictures)),
        small_prior.vision_only(small_prior.encode_image(pictures)),
    )


def test_the_audio_blind_map_mixes_the_models_own_with_the_prior(
    make_small_ezvsl: Callable[..., EZVSL],
    small_prior: ObjectPrior,
    pictures: Pictures,
    clips: list[Waveform],
) -> None:
    model = make_small_ezvsl(sound_bank=make_small_ezvsl().encode_audio(clips)["audio"])
    guided = ObjectGuided(model, small_prior, 0.3)
    expected = mix(
        model.vision_only(model.encode_image(pictures)),
        small_prior.vision_only(small_prior.encode_image(pictures)),
        0.3,
    )
    np.testing.assert_array_equal(guided.vision_only(guided.encode_image(pictures)), expected)


def test_any_localizers_can_be_mixed(pictures: Pictures, small_prior: ObjectPrior) -> None:
    class Loudness(Localizer):
        name = "loudness"

        def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
            return {"ramp": np.tile(np.arange(4, dtype=np.float32), (len(images), 4, 1))}

        def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
            return {"level": np.array([sound.as_float().std() for sound in sounds], np.float32)}

        def localize(self, image_features: Features, audio_features: Features) -> Maps:
            return image_features["ramp"] * audio_features["level"][:, None, None]

    guided = ObjectGuided(Loudness(), small_prior, 0.5)
    loud = [Waveform(np.array([[1], [-1]], np.int16), 8000)] * len(pictures)
    maps = guided.localize(guided.encode_image(pictures), guided.encode_audio(loud))
    assert maps.shape == (len(pictures), 224, 224)
    assert guided.name == "loudness+ogl-l1"


def test_what_listens_is_no_prior(small_ezvsl: EZVSL) -> None:
    with refused("E_PRIOR_LISTENS", kind=ModelError):
        ObjectGuided(small_ezvsl, small_ezvsl)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_lies_between_zero_and_one(
    small_ezvsl: EZVSL, small_prior: ObjectPrior, alpha: float
) -> None:
    with refused("E_ALPHA_RANGE", kind=ModelError):
        ObjectGuided(small_ezvsl, small_prior, alpha)


def test_the_description_names_both_parts(small_ezvsl: EZVSL, small_prior: ObjectPrior) -> None:
    described = describe(ObjectGuided(small_ezvsl, small_prior))
    assert described["alpha"] == 0.4
    assert [part["name"] for part in described["parts"]] == ["ezvsl", "ogl-l1"]


FIXED = ObjectGuidance(
    alpha=0.75,
    upsampling="bicubic-corners",
    normalisation="fixed-range",
    audio_visual_range=(-10.0, 10.0),
    prior_range=(0.0, 5.0),
)


def test_fixed_ranges_keep_the_height_of_maps() -> None:
    heard = np.full((1, 7, 7), 5.0, np.float32)
    seen = np.full((1, 7, 7), 10.0, np.float32)  # beyond the end of its range
    mixed = mix(heard, seen, FIXED.alpha, FIXED)
    assert mixed.shape == (1, 224, 224)
    np.testing.assert_allclose(mixed, 0.75 * 0.75 + 0.25 * 2.0, rtol=1e-5)


@pytest.mark.slow
@given(_grids(5), _grids(5), st.floats(0, 1))
@settings(deadline=None)
def test_other_up_sampling_than_the_protocols_gives_enlarged_maps(
    heard: Maps, seen: Maps, alpha: float
) -> None:
    linear = ObjectGuidance(upsampling="opencv-linear")
    mixed = mix(heard, seen, alpha, linear)
    expected = [
        alpha * _scaled(upsample(h, 224, "opencv-linear"))
        + (1 - alpha) * _scaled(upsample(s, 224, "opencv-linear"))
        for h, s in zip(heard, seen, strict=True)
    ]
    np.testing.assert_allclose(mixed, expected, atol=1e-5)


def _scaled(map_: Maps) -> Maps:
    span = np.ptp(map_)
    return (map_ - map_.min()) / span if span > 0 else np.zeros_like(map_)


def test_the_guidance_names_the_weight_and_is_recorded(
    small_ezvsl: EZVSL, small_prior: ObjectPrior
) -> None:
    described = describe(ObjectGuided(small_ezvsl, small_prior, guidance=FIXED))
    assert described["alpha"] == 0.75
    assert described["options"] == {
        "upsampling": "bicubic-corners",
        "normalisation": "fixed-range",
    }
    coarse = ObjectGuidance(grid=14)
    options = describe(ObjectGuided(small_ezvsl, small_prior, guidance=coarse))["options"]
    assert options["grid"] == 14


@pytest.mark.parametrize(
    "table",
    [
        {"normalisation": "fixed-range"},
        {"normalisation": "fixed-range", "prior_range": [0.0, 1.0]},
        {"audio_visual_range": [0.0, 1.0], "prior_range": [0.0, 1.0]},
        {**FIXED.model_dump(), "prior_range": [1.0, 1.0]},
        {"alpha": 1.5},
        {"upsampling": "nearest"},
    ],
)
def test_a_guidance_that_makes_no_sense_is_refused(table: dict[str, Any]) -> None:
    with refused("E_SCHEMA", where="guidance", kind=ModelError):
        checked(ObjectGuidance, table, "guidance")


def test_each_recipe_has_a_weight_of_its_own() -> None:
    assert default_alpha("slavc") == default_alpha("slavc", "full") == 0.9
    assert default_alpha("fnac") == default_alpha("path/to/file.py:Class") == 0.4


def test_with_another_prior_no_fixed_range_is_known() -> None:
    own = load_localizer("slavc", alpha=0.9)
    other = load_localizer("slavc", alpha=0.9, options={"prior": "ogl-cls"})
    assert describe(own)["options"]["normalisation"] == "fixed-range"
    assert describe(other)["options"] == {
        "upsampling": "bicubic-corners",
        "normalisation": "min-max",
    }


def test_the_up_sampling_can_be_chosen() -> None:
    chosen = load_localizer("ezvsl", alpha=0.4, options={"ogl_upsampling": "opencv-linear"})
    assert describe(chosen)["options"]["upsampling"] == "opencv-linear"
    with refused("E_SCHEMA", where="upsampling", kind=ModelError):
        load_localizer("ezvsl", alpha=0.4, options={"ogl_upsampling": "nearest"})
