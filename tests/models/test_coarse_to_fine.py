"""Coarse to fine: maps by hand, the authors' numbers, sounds that are swapped, and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from refusals import refused

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.coarse_to_fine import (
    UNUSED_ENTRIES,
    CoarseToFine,
    CoarseToFineArchitecture,
    CoarseToFineNetwork,
    CoarseToFineOptions,
    Kind,
    by_heard_class,
    class_vectors,
)
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.resnet import SMALL_TRUNK, TrunkArchitecture
from ssl_bench.models.sounds import LogMelAudio, MSSLAudio

KINDS: tuple[Kind, ...] = ("fine", "cam", "correspondence", "product")
SMALL = CoarseToFineArchitecture(trunk=SMALL_TRUNK, classes=5, matching=8, hidden=16, dimension=12)
PREPROCESSING = EmbeddingPreprocessing(
    preset="small", image=ImagePreprocessing(side=112), audio=LogMelAudio()
)

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]


def small_network(*, fine: bool = True) -> CoarseToFineNetwork:
    network = CoarseToFineNetwork(SMALL, fine=fine)
    network.load_state_dict(seeded_state(network))
    return network.eval()


def small_model(kind: Kind | None = None, *, fine: bool = True) -> CoarseToFine:
    options = CoarseToFineOptions(map=kind)
    return CoarseToFine(small_network(fine=fine), PREPROCESSING, options=options)


@pytest.fixture(scope="module")
def vectors() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parent / "vectors" / "coarse-to-fine.npz") as content:
        return dict(content)


@pytest.fixture(scope="module")
def authors_network(vectors: Mapping[str, NDArray[Any]]) -> CoarseToFineNetwork:
    network = CoarseToFineNetwork(CoarseToFineArchitecture())
    state = network.state_dict()
    network.load_state_dict(
        {key: recipe_tensor("coarse-to-fine", key, tuple(state[key].shape)) for key in state}
    )
    return network.eval()


class TestAuthorsCode:
    def test_a_file_of_theirs_has_what_the_network_needs_and_what_is_unused(
        self, vectors: Mapping[str, NDArray[Any]], authors_network: CoarseToFineNetwork
    ) -> None:
        theirs = dict(str(each).split(" ", 1) for each in vectors["keys"])
        own = {key: str(tuple(each.shape)) for key, each in authors_network.state_dict().items()}
        assert {key: shape for key, shape in theirs.items() if key not in UNUSED_ENTRIES} == own
        assert set(UNUSED_ENTRIES) <= theirs.keys()

    def test_every_output_is_theirs(
        self, vectors: Mapping[str, NDArray[Any]], authors_network: CoarseToFineNetwork
    ) -> None:
        images, sounds = (
            torch.from_numpy(vectors[name].astype(np.float32))
            for name in ("images", "spectrograms")
        )
        with torch.inference_mode():
            seen, heard = authors_network.see(images), authors_network.hear(sounds)
            found = {
                "avc": authors_network.match(
                    heard.places.mean(dim=(2, 3)), seen.places.mean(dim=(2, 3))
                ),
                "class_a": heard.logits,
                "class_v": seen.logits,
                "cam_v": seen.activation,
                "fine_a": authors_network.project_classes(heard),
                "fine_v": authors_network.project_places(seen.places).flatten(2),
                "align_v": authors_network.project_seen_classes(seen),
                "resemblance": authors_network.resemblance(seen, heard).flatten(2),
            }
        for name, tensor in found.items():
            scale = np.abs(vectors[name]).max()
            np.testing.assert_allclose(tensor, vectors[name], atol=1e-5 * scale, err_msg=name)


class TestFormulas:
    def test_a_class_that_is_nowhere_active_has_no_vector(self) -> None:
        places = torch.tensor([[[[2.0, 6.0]], [[1.0, 0.0]]]])
        found = class_vectors(places, torch.tensor([[[[0.0, 2.0]], [[0.0, 0.0]]]]))
        # (0 * 2 + 2 * 6) / 2 places / 2, and (0 * 1 + 2 * 0) / 2 / 2
        torch.testing.assert_close(found, torch.tensor([[[3.0, 0.0], [0.0, 0.0]]]))

    def test_classes_that_are_not_heard_do_not_count(self) -> None:
        by_class = torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1).expand(2, 3, 1, 2)
        found = by_heard_class(by_class, torch.tensor([[0.31, 0.29, 0.62], [0.1, 0.2, 0.05]]))
        expected = [(0.31 * 1 + 0.62 * 100) / 0.93, 10.0]
        torch.testing.assert_close(found[:, 0, 0], torch.tensor(expected))

    def test_the_activation_of_a_match_is_that_of_the_gradient(self) -> None:
        network = small_network()
        generator = torch.Generator().manual_seed(0)
        places = torch.rand(2, 64, 3, 2, generator=generator)
        sounds = torch.rand(2, 64, generator=generator)
        pooled = places.mean(dim=(2, 3)).requires_grad_()
        logits = network.match(sounds, pooled).diagonal(dim1=0, dim2=1)[1]
        (slopes,) = torch.autograd.grad(logits.sum(), pooled)
        expected = torch.einsum("bdhw,bd->bhw", places, slopes).relu()
        torch.testing.assert_close(network.match_activation(places, sounds), expected)


class TestMaps:
    @pytest.mark.parametrize("kind", KINDS)
    def test_another_sound_gives_another_map(self, kind: Kind, pictures: Pictures) -> None:
        model = small_model(kind)
        images = model.encode_image(pictures[:2])
        generator = np.random.default_rng(0)
        sounds = {
            "pooled": 4 * generator.random((2, 64), np.float32),
            "heard": np.array([[0.9, 0.1, 0.4, 0.0, 0.2], [0.1, 0.2, 0.1, 0.8, 0.7]], np.float32),
            "classes": generator.normal(0, 0.3, (2, 12, 5)).astype(np.float32),
        }
        swapped = {name: rows[::-1] for name, rows in sounds.items()}
        maps = model.localize(images, sounds)
        assert maps.shape == (2, 7, 7)
        assert maps.dtype == np.float32
        assert np.abs(maps - model.localize(images, swapped)).max() > 1e-2 * np.abs(maps).max()

    def test_another_clip_gives_another_map(self, pictures: Pictures, clips: Clips) -> None:
        model = small_model()
        images, sounds = model.encode_image(pictures[:2]), model.encode_audio(clips[1:3])
        swapped = {name: rows[::-1] for name, rows in sounds.items()}
        assert np.abs(model.localize(images, sounds) - model.localize(images, swapped)).max() > 1e-4

    def test_the_audio_blind_map_needs_no_sound(self, pictures: Pictures) -> None:
        model = small_model()
        images = model.encode_image(pictures[:2])
        assert model.supports("vision_only")
        expected = by_heard_class(
            torch.from_numpy(images["activation"]), torch.from_numpy(images["seen"])
        )
        np.testing.assert_allclose(model.vision_only(images), expected, rtol=1e-5)

    def test_the_product_is_that_of_each_place_with_the_whole_sound(
        self, pictures: Pictures, clips: Clips
    ) -> None:
        model = small_model("product")
        images, sounds = model.encode_image(pictures[:1]), model.encode_audio(clips[:1])
        expected = np.tensordot(sounds["pooled"][0], images["places"][0], axes=1)
        np.testing.assert_allclose(model.localize(images, sounds)[0], expected, rtol=1e-4)

    def test_the_similarity_is_the_judges_margin(self, pictures: Pictures, clips: Clips) -> None:
        model, network = small_model(), small_network()
        images, sounds = model.encode_image(pictures[:3]), model.encode_audio(clips[:2])
        pooled = torch.from_numpy(images["places"]).mean(dim=(2, 3))
        with torch.inference_mode():
            logits = network.match(torch.from_numpy(sounds["pooled"]), pooled)
        expected = (logits[..., 1] - logits[..., 0]).T
        np.testing.assert_allclose(model.similarity(images, sounds), expected, atol=1e-4)

    def test_features_do_not_depend_on_the_batch(self, pictures: Pictures, clips: Clips) -> None:
        model = small_model()
        images, sounds = model.encode_image(pictures[:2]), model.encode_audio(clips[:2])
        for name, rows in model.encode_image(pictures[1:2]).items():
            np.testing.assert_allclose(rows[0], images[name][1], rtol=1e-4, atol=1e-5)
        for name, rows in model.encode_audio(clips[1:2]).items():
            np.testing.assert_allclose(rows[0], sounds[name][1], rtol=1e-4, atol=1e-5)

    def test_results_say_which_map(self) -> None:
        assert small_model().settings() == {"map": "fine"}
        assert small_model(fine=False).settings() == {"map": "cam"}


class TestWeights:
    def load(self, tensors: Mapping[str, torch.Tensor], path: Path, **options: Any) -> Any:
        save_checkpoint(path / "w.safetensors", tensors)
        return load_localizer("coarse-to-fine", weights=path / "w.safetensors", options=options)

    @pytest.fixture
    def first_stage(self) -> dict[str, torch.Tensor]:
        table = load_baseline("coarse-to-fine").variant("synth").architecture
        plan = CoarseToFineArchitecture.model_validate({**table, "classes": 3})
        return seeded_state(CoarseToFineNetwork(plan, fine=False))

    def test_those_of_the_first_stage_and_of_other_classes_fit(
        self, first_stage: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        assert self.load(first_stage, tmp_path).settings() == {"map": "cam"}

    def test_those_of_the_first_stage_make_no_fine_map(
        self, first_stage: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        with refused("E_OPTION_MAP", where="coarse-to-fine", kind=ModelError):
            self.load(first_stage, tmp_path, map="fine")

    def test_an_unknown_map(self, first_stage: dict[str, torch.Tensor], tmp_path: Path) -> None:
        with refused("E_SCHEMA", where="map", kind=ModelError):
            self.load(first_stage, tmp_path, map="coarse")

    def test_a_missing_entry(self, first_stage: dict[str, torch.Tensor], tmp_path: Path) -> None:
        del first_stage["avc.2.bias"]
        with refused("E_WEIGHTS_MISFIT", where="avc.2.bias", kind=WeightsError):
            self.load(first_stage, tmp_path)

    def test_another_architecture(self, tmp_path: Path) -> None:
        tiny = CoarseToFineArchitecture(trunk=TrunkArchitecture(width=4), classes=3)
        with refused("E_WEIGHTS_MISFIT", where="w.safetensors", kind=WeightsError):
            self.load(seeded_state(CoarseToFineNetwork(tiny)), tmp_path)


def test_the_full_variant_has_the_sizes_of_the_authors_code() -> None:
    full = load_baseline("coarse-to-fine").variant("full")
    assert CoarseToFineArchitecture.model_validate(full.architecture) == CoarseToFineArchitecture()
    preprocessing = EmbeddingPreprocessing.model_validate(full.preprocessing)
    assert preprocessing.audio == MSSLAudio()
    assert preprocessing.image.side == 256
