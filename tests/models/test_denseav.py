"""DenseAV: maps by hand, the authors' numbers, low ranks, sounds that are swapped, and files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from refusals import refused
from torch import Tensor

from ssl_bench.errors import WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import read_checkpoint, save_checkpoint
from ssl_bench.models.denseav import (
    UNUSED_ENTRIES,
    DenseAV,
    DenseAVArchitecture,
    DenseAVNetwork,
    DenseAVPreprocessing,
    ImageTrunk,
    SoundTrunk,
    WholeWaveform,
    best_products,
    merged_ranks,
    steps_heard,
)
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.recipes import Assembly
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.trained import SoundOptions

pytest.importorskip("transformers")

SEED = "denseav"
# What the authors' code was run with: it fixes the width of both trunks.
NARROW = DenseAVArchitecture(
    image=ImageTrunk(side=32, depth=1),
    sound=SoundTrunk(depth=1, hidden=64, channels=16),
    dimension=24,
)
TINY = DenseAVArchitecture(
    image=ImageTrunk(side=32, width=24, depth=1, heads=2),
    sound=SoundTrunk(width=32, depth=1, heads=2, hidden=32, channels=8),
    dimension=12,
)
PREPROCESSING = DenseAVPreprocessing(
    preset="small",
    image=ImagePreprocessing(side=32),
    audio=WholeWaveform(rate=11025, samples=16000),
)

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]


def network_of(architecture: DenseAVArchitecture = TINY) -> DenseAVNetwork:
    network = DenseAVNetwork(architecture)
    network.load_state_dict(seeded_state(network, SEED))
    return network.eval()


def model_of(architecture: DenseAVArchitecture = TINY, heads: int = 1) -> DenseAV:
    chosen = architecture.model_copy(update={"heads": heads})
    return DenseAV(network_of(chosen), PREPROCESSING, options=SoundOptions())


def seeded_input(key: str, shape: tuple[int, ...], largest: float) -> Tensor:
    scale = math.sqrt(math.prod(shape[1:]) / 6) * largest
    return recipe_tensor(SEED, f"{key}.input", shape) * scale


@pytest.fixture(scope="module")
def vectors() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parent / "vectors" / "denseav.npz") as content:
        return dict(content)


@pytest.mark.slow
class TestAuthorsCode:
    def test_a_file_of_theirs_has_what_the_network_needs_and_what_is_unused(
        self, vectors: dict[str, NDArray[Any]]
    ) -> None:
        theirs = dict(str(each).split(" ", 1) for each in vectors["keys"])
        own = {key: str(tuple(each.shape)) for key, each in network_of(NARROW).state_dict().items()}
        assert {key: shape for key, shape in theirs.items() if key not in UNUSED_ENTRIES} == own

    @pytest.mark.parametrize("heads", [1, 2])
    def test_features_maps_and_similarities_are_theirs(
        self, vectors: dict[str, NDArray[Any]], heads: int
    ) -> None:
        model = model_of(NARROW, heads)
        samples = seeded_input("sounds", (2, 16000), 1.0)
        samples[1, 9000:] = 0
        with torch.inference_mode():
            visual = model._network.see(seeded_input("images", (2, 3, 32, 32), 2.0)).numpy()
            audio = model._network.hear(samples).numpy()
        heard = np.stack([steps_heard(length, 16000, audio.shape[2]) for length in (16000, 9000)])
        sounds = {"audio": audio, "heard": heard}
        found = {
            "visual": visual,
            **sounds,
            f"maps_{heads}": model.localize({"visual": visual}, sounds),
            f"similarity_{heads}": model.similarity({"visual": visual}, sounds),
        }
        for name, array in found.items():
            scale = np.abs(vectors[name]).max()
            np.testing.assert_allclose(array, vectors[name], atol=1e-4 * scale, err_msg=name)


def test_the_best_head_of_each_place_and_time_counts_by_hand() -> None:
    model = model_of(heads=2)
    visual = np.array([[[[1.0, 0.0]], [[0.0, 2.0]]]], np.float32)
    sounds = {
        "audio": np.array([[[4.0, 1.0, 50.0], [-1.0, 3.0, 50.0]]], np.float32),
        "heard": np.array([[1.0, 1.0, 0.0]], np.float32),
    }
    # Head 1 reads the first row of both, head 2 the second; the last step is not of the sound.
    assert model.localize({"visual": visual}, sounds).tolist() == [[[(4 + 1) / 2, (0 + 6) / 2]]]
    assert model.similarity({"visual": visual}, sounds).tolist() == [[(4 + 6) / 2]]


def test_one_head_is_the_product_of_whole_vectors() -> None:
    generator = torch.Generator().manual_seed(0)
    places, times = (torch.randn(6, count, generator=generator) for count in (5, 3))
    torch.testing.assert_close(best_products(places, times, 1), places.T @ times)


def test_steps_after_the_sound_do_not_count() -> None:
    mask = torch.zeros(1, 1, 1, 1000)
    for length in (1, 17, 333, 500, 501, 999, 1000):
        mask[..., :length] = 1
        shared = torch.nn.functional.interpolate(mask, (1, 56), mode="bilinear")[0, 0, 0] > 0.01
        shared[0] = True
        assert steps_heard(length, 1000, 56).tolist() == shared.float().tolist()
        mask.zero_()


def test_low_ranks_are_merged_by_their_formula(tmp_path: Path) -> None:
    network = network_of()
    plain = network.state_dict()
    key = "image_model.model.blocks.0.attn.qkv.weight"
    first, second = recipe_tensor("low", "A", (8, 24)), recipe_tensor("low", "B", (72, 8))
    stem = "image_model.base_model.model.model.blocks.0.attn.qkv"
    wrapped = {
        name.replace("image_model.model.", "image_model.base_model.model.model.").replace(
            "attn.qkv.", "attn.qkv.base_layer."
        ): value
        for name, value in plain.items()
    }
    wrapped |= {f"{stem}.lora_A.default.weight": first, f"{stem}.lora_B.default.weight": second}
    found = merged_ranks(wrapped)
    assert found.keys() == plain.keys()
    torch.testing.assert_close(found[key], plain[key] + 4 * second @ first)
    path = tmp_path / "lora.safetensors"
    save_checkpoint(path, wrapped)
    renamed = DenseAV.renamed(read_checkpoint(path), SoundOptions())
    network.load_state_dict(dict(renamed.tensors))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((2, 3), (4, 2)),
        ((2, 4), (4, 3)),
        ((0, 4), (4, 0)),
        ((), (4, 2)),
        ((2, 4), None),
        (None, (4, 2)),
    ],
)
def test_low_ranks_that_make_no_change_of_the_layer_are_kept_to_be_refused(
    first: tuple[int, ...] | None, second: tuple[int, ...] | None
) -> None:
    given = {
        f"qkv.lora_{side}.default.weight": torch.ones(shape)
        for side, shape in (("A", first), ("B", second))
        if shape is not None
    }
    layer = {"qkv.base_layer.weight": torch.zeros(4, 4)}
    found = merged_ranks(layer | given)
    assert found.keys() == {"qkv.weight", *given}
    assert not found["qkv.weight"].any()


def test_each_of_several_changes_is_merged_in_any_precision() -> None:
    ranks = {
        f"qkv.lora_{side}.{name}.weight": torch.ones((1, 4) if side == "A" else (4, 1)).half()
        for name in ("one", "two")
        for side in "AB"
    }
    found = merged_ranks({"qkv.base_layer.weight": torch.zeros(4, 4)} | ranks)
    assert (found["qkv.weight"] == 64).all()


class TestLocalizer:
    def test_swapped_sounds_change_the_maps(self, pictures: Pictures, clips: Clips) -> None:
        model = model_of()
        seen = model.encode_image(pictures[:2])
        maps, swapped = (
            model.localize(seen, model.encode_audio(order)) for order in (clips[:2], clips[1::-1])
        )
        assert (maps.shape, maps.dtype) == ((2, 4, 4), np.float32)
        assert np.abs(maps - swapped).max() > 1e-3 * np.abs(maps).max()

    def test_a_sound_is_followed_by_zeros_and_scaled(self) -> None:
        front_end = WholeWaveform(samples=8)
        prepared = front_end.scaled(Waveform(np.full((4, 2), 16384, np.int16), 16000))
        assert prepared.length == 4
        np.testing.assert_allclose(prepared.samples, [1] * 4 + [-1] * 4, atol=1e-4)

    def test_another_rate_is_refused(self) -> None:
        with refused("E_SOUND_RATE"):
            model_of().encode_audio([Waveform(np.zeros((8000, 1), np.int16), 8000)])


class TestFiles:
    def test_without_a_file_it_is_refused_with_the_address(self) -> None:
        with refused("E_WEIGHTS_NEEDED", where="github.com/mhamilton723", kind=WeightsError):
            load_localizer("denseav")

    def test_a_file_of_another_shape_is_refused(self, tmp_path: Path) -> None:
        state = network_of().state_dict()
        path = tmp_path / "sound.safetensors"
        save_checkpoint(path, {**state, "audio_cls": state["audio_cls"][:-1]})
        assembly = Assembly(
            name="denseav",
            variant="tiny",
            recipe=Path("recipe.toml"),
            architecture=TINY.model_dump(),
            preprocessing=PREPROCESSING.model_dump(),
            weights=path,
            weights_sha256=None,
            seed=0,
            options={},
        )
        with refused("E_WEIGHTS_MISFIT", where="audio_cls", kind=WeightsError):
            DenseAV.assemble(assembly)
        save_checkpoint(path, state)
        assert DenseAV.assemble(assembly).provenance.weights_sha256 is not None
