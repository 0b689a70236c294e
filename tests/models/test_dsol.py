"""DSOL: maps by hand, the authors' numbers, sounds that are swapped, categories, and files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dsol_cases import (
    SEED,
    SMALL,
    images,
    published_tensor,
    small_network,
    sounds,
    vectors,
)
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from refusals import refused, unsupported

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.files import sha256_of_file
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.dsol import (
    DICTIONARY,
    DSOL,
    MATCHES,
    UNUSED_ENTRIES,
    DSOLArchitecture,
    DSOLNetwork,
    DSOLOptions,
    sounding_objects,
)
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.recipes import Assembly
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.sounds import DSOLAudio, LogMelAudio
from ssl_bench.testsets.synth import World

PREPROCESSING = EmbeddingPreprocessing(
    preset="small", image=ImagePreprocessing(side=64), audio=LogMelAudio()
)
TABLE = recipe_tensor(SEED, DICTIONARY, (3, 64))
NAMES = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]


def small_model(**options: Any) -> DSOL:
    return DSOL(
        small_network(),
        PREPROCESSING,
        options=DSOLOptions(**options),
        dictionary=TABLE.numpy(),
        matches=NAMES.numpy(),
    )


def assembled(
    tensors: Mapping[str, torch.Tensor],
    folder: Path,
    architecture: DSOLArchitecture = SMALL,
    **options: Any,
) -> DSOL:
    save_checkpoint(folder / "w.safetensors", tensors)
    return DSOL.assemble(
        Assembly(
            name="mine",
            variant="small",
            recipe=Path("recipe.toml"),
            architecture=architecture.model_dump(),
            preprocessing=PREPROCESSING.model_dump(),
            weights=folder / "w.safetensors",
            weights_sha256=None,
            seed=0,
            options=options,
        )
    )


class TestAuthorsCode:
    def test_a_file_of_theirs_has_what_the_network_needs_and_what_is_unused(self) -> None:
        for stage, second in (("one", False), ("two", True)):
            theirs = dict(str(each).split(" ", 1) for each in vectors()[f"keys_{stage}"])
            state = DSOLNetwork(DSOLArchitecture(), second=second).state_dict()
            own = {key: str(tuple(each.shape)) for key, each in state.items()}
            needed = {key: size for key, size in theirs.items() if key not in UNUSED_ENTRIES}
            assert needed == own
            assert set(UNUSED_ENTRIES) <= theirs.keys()

    def test_every_output_is_theirs(self) -> None:
        expected = vectors()
        network = DSOLNetwork(DSOLArchitecture())
        state = network.state_dict()
        network.load_state_dict(
            {key: published_tensor(key, tuple(value.shape)) for key, value in state.items()}
        )
        network.eval()
        # Each sound with its own image, and then with the other one.
        order, played = [0, 1, 1, 0], [0, 0, 1, 1]
        dictionary = recipe_tensor(SEED, DICTIONARY, (11, 512)) / 1000
        with torch.inference_mode():
            places, heard = network.places(images()), network.hear(sounds())
            embedded = network.embed(places)[order], network.embed_sounds(heard)[played]
            cosines = torch.einsum("bdhw,bd->bhw", *embedded)
            sounding = (network.gain * cosines).sigmoid()
            objects = network.objects(places, dictionary)[order]
            found = {
                "sounding": sounding,
                "second_sounding": sounding,
                "output": sounding.amax(dim=(1, 2)),
                "v_logits": network.v_class_layer(places.mean(dim=(2, 3)))[order],
                "a_logits": network.a_class_layer(heard)[played],
                "second_objects": objects * sounding[:, None],
                "second_shown": sounding_objects(objects, sounding),
            }
        for name, tensor in found.items():
            scale = np.abs(expected[name]).max()
            np.testing.assert_allclose(tensor, expected[name], atol=1e-4 * scale, err_msg=name)


class TestMaps:
    def test_objects_are_shares_where_something_sounds(self) -> None:
        objects = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]], [[0.0, 0.0]]]])
        found = sounding_objects(objects, torch.tensor([[[0.5, 0.0]]]))
        raised = math.exp(1.5)
        assert found[0, 0, 0, 0].item() == pytest.approx(raised / (raised + 2))
        torch.testing.assert_close(found[0, :, 0, 1], torch.full((3,), 1 / 3))

    @pytest.mark.parametrize("kind", ["sounding", "classes"])
    def test_another_sound_gives_another_map(self, kind: str, pictures: Pictures) -> None:
        model = small_model(map=kind)
        seen = model.encode_image(pictures[:2])
        generator = np.random.default_rng(0)
        unit = generator.normal(size=(2, 8)).astype(np.float32)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        heard = np.array([[0.9, 0.1, 0.0], [0.1, 0.2, 0.7]], np.float32)
        played = {"audio": unit, "heard": heard}
        swapped = {name: rows[::-1] for name, rows in played.items()}
        maps = model.localize(seen, played)
        assert maps.dtype == np.float32
        assert maps.min() >= 0
        assert maps.max() <= 1 + 1e-6
        assert np.abs(maps - model.localize(seen, swapped)).max() > 1e-2

    def test_another_clip_gives_another_map(self, pictures: Pictures, clips: Clips) -> None:
        model = small_model()
        seen, played = model.encode_image(pictures[:2]), model.encode_audio(clips[1:3])
        swapped = {name: rows[::-1] for name, rows in played.items()}
        assert np.abs(model.localize(seen, played) - model.localize(seen, swapped)).max() > 1e-5

    def test_the_map_of_classes_is_the_sum_of_where_each_sounds_by_how_likely_it_is_heard(
        self, pictures: Pictures, clips: Clips
    ) -> None:
        model = small_model(map="classes")
        seen, played = model.encode_image(pictures[:2]), model.encode_audio(clips[:2])
        area = small_model().localize(seen, played)
        raised = np.exp(3.0 * seen["objects"] * area[:, None])
        shares = raised / raised.sum(axis=1, keepdims=True)
        expected = (shares * played["heard"][:, :, None, None]).sum(axis=1)
        np.testing.assert_allclose(model.localize(seen, played), expected, rtol=1e-4)

    def test_maps_of_categories_are_sums_over_their_clusters(
        self, pictures: Pictures, clips: Clips
    ) -> None:
        model = small_model()
        seen, played = model.encode_image(pictures[:2]), model.encode_audio(clips[:2])
        maps = model.class_maps(seen, played, ["big_bell", "drum"])
        only = {**played, "heard": np.tile(np.float32([0, 1, 0]), (2, 1))}
        cluster = small_model(map="classes").localize(seen, only)
        np.testing.assert_allclose(maps[:, 1], cluster, rtol=1e-4)
        np.testing.assert_allclose(maps.sum(axis=1), 1, rtol=1e-4)

    def test_a_category_without_clusters(self, pictures: Pictures, clips: Clips) -> None:
        model = small_model()
        seen, played = model.encode_image(pictures[:1]), model.encode_audio(clips[:1])
        with refused("E_CATEGORY_UNKNOWN", where="lute", kind=ModelError):
            model.class_maps(seen, played, ["big_bell", "lute"])

    def test_the_similarity_is_the_largest_value_of_the_map(
        self, pictures: Pictures, clips: Clips
    ) -> None:
        model = small_model()
        seen, played = model.encode_image(pictures[:2]), model.encode_audio(clips[:2])
        largest = model.localize(seen, played).max(axis=(1, 2))
        np.testing.assert_allclose(model.similarity(seen, played).diagonal(), largest, rtol=1e-5)


class TestWeights:
    @pytest.fixture
    def tensors(self) -> dict[str, torch.Tensor]:
        bank = recipe_tensor("bank", "bank", (4, 8))
        network = small_network()
        return {**network.state_dict(), "sound_bank": bank, DICTIONARY: TABLE, MATCHES: NAMES}

    def test_tables_travel_with_them(
        self, tensors: dict[str, torch.Tensor], tmp_path: Path, pictures: Pictures, clips: Clips
    ) -> None:
        model = assembled(tensors, tmp_path)
        assert model.supports("class_maps")
        seen, played = model.encode_image(pictures[:2]), model.encode_audio(clips[:2])
        expected = small_model().class_maps(seen, played, ["drum"])
        np.testing.assert_allclose(
            model.class_maps(seen, played, ["drum"]), expected, rtol=1e-3, atol=1e-5
        )
        assert model.vision_only(seen).shape == (2, 4, 4)

    def test_tables_of_the_authors_code_are_named_by_options(
        self, tensors: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        paths = {}
        for name, key in (("dictionary", DICTIONARY), ("matches", MATCHES)):
            paths[name] = tmp_path / f"{name}.npy"
            np.save(paths[name], tensors.pop(key).double().numpy())
        given = {"dictionary": paths["dictionary"], "matches": str(paths["matches"])}
        model = assembled(tensors, tmp_path, map="classes", **given)
        assert model.supports("class_maps")
        digests = {name: sha256_of_file(path) for name, path in paths.items()}
        assert model.settings() == {"map": "classes", **digests}

    def test_those_of_the_first_stage_have_the_sounding_area_alone(
        self, tensors: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        first = {key: each for key, each in tensors.items() if not key.startswith("obj")}
        with refused("E_WEIGHTS_DICTIONARY", where=MATCHES, kind=WeightsError):
            assembled(first, tmp_path)
        del first[MATCHES]
        model = assembled(first, tmp_path)
        with unsupported(model, "class_maps", naming="clusters"):
            model.class_maps({}, {}, ["drum"])
        with refused("E_OPTION_MAP", where="dsol", kind=ModelError):
            assembled(first, tmp_path, map="classes")

    def test_a_table_of_another_shape(
        self, tensors: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        with refused("E_WEIGHTS_DICTIONARY", where=DICTIONARY, kind=WeightsError):
            assembled({**tensors, DICTIONARY: TABLE[:, :5]}, tmp_path)

    def test_a_table_with_values_that_are_not_finite(
        self, tensors: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        np.save(tmp_path / "d.npy", tensors.pop(DICTIONARY).numpy() * np.inf)
        with refused("E_WEIGHTS_DICTIONARY", where=DICTIONARY, kind=WeightsError):
            assembled(tensors, tmp_path, dictionary=str(tmp_path / "d.npy"))

    @pytest.mark.parametrize("content", [b"", b"no table", b"PK\x03\x04"])
    def test_a_file_that_holds_no_table(
        self, tensors: dict[str, torch.Tensor], tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "d.npy").write_bytes(content)
        with refused("E_WEIGHTS_DICTIONARY", where="d.npy", kind=WeightsError):
            assembled(tensors, tmp_path, dictionary=str(tmp_path / "d.npy"))

    def test_a_missing_file(self, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
        with refused("E_WEIGHTS_DICTIONARY", where="d.npy", kind=WeightsError):
            assembled(tensors, tmp_path, dictionary=str(tmp_path / "d.npy"))

    def test_another_architecture(self, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
        wider = SMALL.model_copy(update={"dimension": 9})
        with refused("E_WEIGHTS_MISFIT", where="conv_v_1.weight (8, 64, 1, 1)", kind=WeightsError):
            assembled(tensors, tmp_path, wider)

    def test_another_number_of_clusters_is_that_of_the_file(self, tmp_path: Path) -> None:
        more = SMALL.model_copy(update={"clusters": 5})
        state = seeded_state(DSOLNetwork(more))
        model = assembled(state, tmp_path)
        assert model.provenance.weights is not None


def test_the_full_variant_is_that_of_the_authors_code() -> None:
    full = load_baseline("dsol").variant("full")
    plan = DSOLArchitecture.model_validate(full.architecture)
    assert plan.model_copy(update={"categories": ()}) == DSOLArchitecture()
    assert len(plan.categories) == plan.clusters
    preprocessing = EmbeddingPreprocessing.model_validate(full.preprocessing)
    assert preprocessing.audio == DSOLAudio()
    assert preprocessing.image.side == 224


def test_the_shipped_clusters_are_the_worlds_sounding_categories(
    pictures: Pictures, clips: Clips
) -> None:
    model = load_localizer("dsol")
    names = [category.name for category in World().kinds if category.capable]
    seen, played = model.encode_image(pictures[:1]), model.encode_audio(clips[:1])
    maps = model.class_maps(seen, played, names)
    assert maps.shape == (1, 16, 14, 14)
    np.testing.assert_allclose(maps.sum(axis=1), 1, rtol=1e-4)
