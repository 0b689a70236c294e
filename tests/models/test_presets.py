"""Preprocessing presets: which there are, how one is chosen, and what results say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from containers import slavc_container, write
from numpy.typing import NDArray
from recipe_weights import recipe_weights
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.models.contract import Localizer
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.ezvsl import EZVSL
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.provenance import describe
from ssl_bench.models.recipes import ObjectGuidance, Recipe, Variant, checked
from ssl_bench.models.registry import default_alpha, list_baselines, load_baseline, load_localizer
from ssl_bench.models.sounds import prepare_sound

BOTH = {"original": {"image": {"side": 224}}, "sslalign": {"image": {"side": 112}}}
PUBLISHED = ["ezvsl", "fnac", "lvs", "slavc", "sslalign", "ssltie"]


def _variant(**tables: Any) -> Variant:
    return checked(Variant, {"about": "A variant.", **tables}, "recipe.toml")


def test_the_first_preset_is_the_default() -> None:
    variant = _variant(presets=BOTH)
    assert variant.preprocessing == {"preset": "original", "image": {"side": 224}}
    assert variant.preprocessing_of(None) == variant.preprocessing
    assert variant.preprocessing_of("original") == variant.preprocessing


def test_another_preset_is_a_whole_table_of_its_own() -> None:
    assert _variant(presets=BOTH).preprocessing_of("sslalign") == {
        "preset": "sslalign",
        "image": {"side": 112},
    }


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with refused("E_PRESET_UNKNOWN", where="'sslaling'", kind=ModelError) as caught:
        _variant(presets=BOTH).preprocessing_of("sslaling")
    assert "original, sslalign" in str(caught.value)
    with refused("E_PRESET_UNKNOWN", where="'original'", kind=ModelError) as caught:
        _variant(preprocessing={"preset": "synth"}).preprocessing_of("original")
    assert "synth" in str(caught.value)


def test_a_variant_with_one_way_only_may_name_it() -> None:
    variant = _variant(preprocessing={"preset": "synth"})
    assert variant.preprocessing_of("synth") == variant.preprocessing_of(None)


def test_presets_and_a_single_table_exclude_each_other() -> None:
    table = {
        "localizer": "m:C",
        "default_variant": "full",
        "variants": {"full": {"about": "x", "preprocessing": {}, "presets": BOTH}},
    }
    with refused("E_SCHEMA", where="variants.full", kind=ModelError):
        checked(Recipe, table, "recipe.toml")


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_model_has_both_ways_and_describes_them(name: str) -> None:
    assert name in list_baselines()
    presets = load_baseline(name).variant("full").presets
    assert list(presets)[:2] == ["original", "sslalign"]
    assert presets["sslalign"].preprocessing["image"]["resize"] == "full-tensor"
    for preset in presets:
        assert preset in load_baseline(name).card.preprocessing


def test_a_preset_may_mix_the_prior_in_its_own_way() -> None:
    guided = {"alpha": 0.25, "upsampling": "opencv-linear"}
    other = {**BOTH["sslalign"], "object_guided": guided}
    variant = _variant(presets={**BOTH, "sslalign": other}, object_guided={"alpha": 0.5})
    assert variant.guidance_of(None) == variant.guidance_of("original") == ObjectGuidance(alpha=0.5)
    assert variant.guidance_of("sslalign") == ObjectGuidance.model_validate(guided)
    assert "object_guided" not in variant.preprocessing_of("sslalign")
    first = _variant(presets={"sslalign": other, "original": BOTH["original"]})
    assert "object_guided" not in first.preprocessing
    assert first.guidance_of(None) == ObjectGuidance.model_validate(guided)
    assert first.guidance_of("original") is None


@pytest.mark.parametrize("preset", ["original", "sslalign"])
def test_a_wrong_mix_of_a_preset_is_named(preset: str) -> None:
    wrong = {**BOTH, preset: {**BOTH[preset], "object_guided": {"alpha": 2}}}
    with refused("E_SCHEMA", where=f"presets.{preset}.object_guided.alpha", kind=ModelError):
        _variant(presets=wrong)
    with refused("E_SCHEMA", where=f"presets.{preset}", kind=ModelError):
        _variant(presets={**BOTH, preset: 3})


@pytest.mark.parametrize("name", PUBLISHED)
def test_evaluated_again_every_model_is_mixed_as_ez_vsl_is(name: str) -> None:
    recipe = load_baseline(name).recipe
    guidance = recipe.variants["full"].guidance_of("sslalign") or recipe.object_guided
    assert guidance == ObjectGuidance(
        alpha=0.4, upsampling="bilinear-corners", normalisation="min-max"
    )
    assert default_alpha(name, "full", "sslalign") == 0.4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "alpha", "upsampling", "normalisation"),
    [
        ("original", 0.9, "bicubic-corners", "fixed-range"),
        ("sslalign", 0.4, "bilinear-corners", "min-max"),
    ],
)
def test_results_of_slavc_say_how_the_preset_mixes(
    vectors: Path,
    tmp_path: Path,
    imagenet_checkpoint: Path,
    preset: str,
    alpha: float,
    upsampling: str,
    normalisation: str,
) -> None:
    weights = write(tmp_path, "latest.pth", slavc_container(recipe_weights(vectors, "slavc")))
    guided = load_localizer(
        "slavc",
        variant="full",
        weights=weights,
        alpha=default_alpha("slavc", "full", preset),
        options={"preset": preset, "prior_weights": imagenet_checkpoint},
    )
    described = describe(guided)
    assert (described["preset"], described["alpha"]) == (preset, alpha)
    assert described["options"] == {"upsampling": upsampling, "normalisation": normalisation}


@pytest.fixture(scope="module")
def load(authors_checkpoint: Path, imagenet_checkpoint: Path) -> Callable[..., Localizer]:
    def load(alpha: float | None = None, **options: Any) -> Localizer:
        if alpha is not None:
            options["prior_weights"] = imagenet_checkpoint
        localizer = load_localizer(
            "ezvsl", variant="full", weights=authors_checkpoint, alpha=alpha, options=options
        )
        assert isinstance(localizer, Localizer)
        return localizer

    return load


@pytest.mark.slow
def test_results_name_the_preset(load: Callable[..., Localizer]) -> None:
    for preset in ("original", "sslalign"):
        model = load(preset=preset)
        assert (model.preset, describe(model)["preset"]) == (preset, preset)
    assert describe(load())["preset"] == "original"


@pytest.mark.slow
def test_a_preset_changes_the_map(
    load: Callable[..., Localizer], pictures: list[NDArray[np.uint8]], golden_sounds: list[Any]
) -> None:
    maps = [
        model.localize(model.encode_image(pictures[:1]), model.encode_audio(golden_sounds[:1]))
        for model in (load(), load(preset="sslalign"))
    ]
    assert maps[0].shape == maps[1].shape
    assert np.abs(maps[0] - maps[1]).max() > 0.01


@pytest.mark.slow
def test_sounds_of_any_rate_are_taken_in_both_presets(
    load: Callable[..., Localizer], clips: list[Any]
) -> None:
    for preset in ("original", "sslalign"):
        model = load(preset=preset, any_rate=True)
        assert isinstance(model, EZVSL)
        assert np.isfinite(model.encode_audio(clips[:1])["audio"]).all()
        assert describe(model)["options"] == {"any_rate": True}


@pytest.mark.slow
def test_the_object_prior_sees_the_image_as_the_model_does(
    load: Callable[..., Localizer],
    full_prior: Localizer,
    pictures: list[NDArray[np.uint8]],
) -> None:
    original, again = load(alpha=0.4), load(alpha=0.4, preset="sslalign")
    assert isinstance(original, ObjectGuided)
    assert isinstance(again, ObjectGuided)
    assert [part.preset for part in original.provenance.parts] == ["original", "original"]
    assert [part.preset for part in again.provenance.parts] == [
        "sslalign",
        "image of ezvsl, sslalign",
    ]
    alone = full_prior.vision_only(full_prior.encode_image(pictures[:1]))
    same = original.vision_only(original.encode_image(pictures[:1]))
    other = again.vision_only(again.encode_image(pictures[:1]))
    np.testing.assert_allclose(same, alone, atol=1e-6)
    assert np.abs(other - alone).max() > 1e-3


@pytest.mark.parametrize("name", ["center", "random"])
def test_a_baseline_that_prepares_nothing_has_no_presets(name: str) -> None:
    with refused("E_SCHEMA", where="preset", kind=ModelError):
        load_localizer(name, options={"preset": "original"})


def test_every_table_of_presets_is_one_that_the_front_ends_accept(
    golden_sounds: list[Any],
) -> None:
    for name in ("lvs", "sslalign", "ssltie"):
        variant = load_baseline(name).variant("full")
        for preset in variant.presets:
            table = variant.preprocessing_of(preset)
            preprocessing = checked(EmbeddingPreprocessing, table, name)
            assert preprocessing.preset == preset
            assert np.isfinite(prepare_sound(golden_sounds[0], preprocessing.audio)).all()
