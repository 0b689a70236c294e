from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from recipe_weights import seeded_state
from refusals import refused
from torch.nn import functional

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.recipes import Assembly
from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk
from ssl_bench.models.unet import RESNET34, UNet, UNetArchitecture, UNetNetwork

SMALL = UNetArchitecture(encoder=SMALL_TRUNK, decoder=(32, 16, 8, 8))


@pytest.fixture(scope="module")
def network() -> UNetNetwork:
    small = UNetNetwork(SMALL).eval()
    small.load_state_dict(seeded_state(small))
    return small


def assembled(folder: Path, trained: UNetNetwork, **architecture: object) -> UNet:
    save_checkpoint(folder / "w.safetensors", seeded_state(trained))
    return UNet.assemble(
        Assembly(
            name="unet",
            variant="small",
            recipe=folder / "recipe.toml",
            architecture={**SMALL.model_dump(), **architecture},
            preprocessing={"image": {"side": 48}},
            weights=folder / "w.safetensors",
            weights_sha256=None,
            seed=0,
            options={},
        )
    )


def test_the_encoder_has_the_entries_of_torchvisions_resnet34() -> None:
    with torch.device("meta"):
        state = ResidualTrunk(RESNET34, input_channels=3).state_dict()
        whole = UNetNetwork(UNetArchitecture()).state_dict()
    blocks = {
        f"layer{stage}.{block}"
        for stage, count in enumerate((3, 4, 6, 3), start=1)
        for block in range(count)
    }
    assert {".".join(key.split(".")[:2]) for key in state if key.startswith("layer")} == blocks
    # 21,797,672 as torchvision states, less the classifier of 512 x 1000 + 1000.
    counted = {key: value for key, value in state.items() if not _is_statistic(key)}
    assert sum(value.numel() for value in counted.values()) == 21_797_672 - 513_000
    encoder = {key.removeprefix("encoder."): key for key in whole if key.startswith("encoder.")}
    assert list(encoder) == list(state)


def _is_statistic(key: str) -> bool:
    return key.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")


def test_the_full_decoder_has_the_assumed_widths_and_gives_a_map_of_the_images_size() -> None:
    with torch.device("meta"):
        network = UNetNetwork(UNetArchitecture())
        assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 224, 224)
    first = [stage[0].weight.shape[:2] for stage in network.decoder]
    assert first == [(256, 512 + 256), (128, 256 + 128), (64, 128 + 64), (32, 64 + 64), (16, 32)]


@pytest.mark.parametrize("size", [(48, 48), (50, 37), (1, 1), (33, 64)])
def test_any_size_of_image_gives_a_map_of_that_size(
    network: UNetNetwork, size: tuple[int, int]
) -> None:
    with torch.no_grad():
        maps = network(torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)))
    assert maps.shape == (2, *size)
    assert 0 <= maps.min() <= maps.max() <= 1


def test_a_shorter_decoder_gives_a_coarser_map() -> None:
    network = UNetNetwork(UNetArchitecture(encoder=SMALL_TRUNK, decoder=(8, 8))).eval()
    assert network(torch.zeros(1, 3, 112, 112)).shape == (1, 28, 28)


def test_a_longer_decoder_than_halvings_is_refused() -> None:
    halvings = len(SMALL_TRUNK.blocks) + 1
    assert UNetArchitecture(encoder=SMALL_TRUNK, decoder=(8,) * halvings).decoder == (8,) * halvings
    with pytest.raises(ValidationError):
        UNetArchitecture(encoder=SMALL_TRUNK, decoder=(8,) * (halvings + 1))


def test_the_decoder_is_enlargement_skip_convolutions_and_a_sigmoid() -> None:
    """One stage, written out."""
    network = UNetNetwork(UNetArchitecture(encoder=SMALL_TRUNK, decoder=(8,))).eval()
    network.load_state_dict(seeded_state(network))
    pixels = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        *_, skip, deepest = network.encoder.pyramid(pixels)
        assert skip.shape == (2, 32, 8, 6)
        x = torch.cat([deepest.repeat_interleave(2, 2).repeat_interleave(2, 3), skip], dim=1)
        first, norm1, _, second, norm2, _ = network.decoder[0]
        x = norm1(functional.conv2d(x, first.weight, padding=1)).clamp(min=0)
        x = norm2(functional.conv2d(x, second.weight, padding=1)).clamp(min=0)
        logits = functional.conv2d(x, network.head.weight, network.head.bias, padding=1)[:, 0]
        torch.testing.assert_close(network(pixels), 1 / (1 + (-logits).exp()))


def test_the_pyramid_ends_with_the_last_map() -> None:
    trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3).eval()
    pixels = torch.randn(1, 3, 112, 112, generator=torch.Generator().manual_seed(2))
    maps = trunk.pyramid(pixels)
    assert [tuple(each.shape[1:]) for each in maps] == [
        (16, 56, 56),
        (16, 28, 28),
        (32, 14, 14),
        (64, 7, 7),
    ]
    torch.testing.assert_close(maps[-1], trunk(pixels))
    # Nothing that comes later writes into an earlier map.
    torch.testing.assert_close(maps[0], trunk.relu(trunk.bn1(trunk.conv1(pixels))))


def test_maps_are_those_of_the_network(
    tmp_path: Path, network: UNetNetwork, pictures: list[NDArray[np.uint8]]
) -> None:
    model = assembled(tmp_path, network)
    maps = model.vision_only(model.encode_image(pictures))
    assert maps.shape == (len(pictures), 48, 48)
    assert model.audio_blind


def test_maps_are_averaged_to_the_side_that_the_recipe_states(
    tmp_path: Path, network: UNetNetwork, pictures: list[NDArray[np.uint8]]
) -> None:
    whole, small = assembled(tmp_path, network), assembled(tmp_path, network, map_side=12)
    fine = whole.vision_only(whole.encode_image(pictures))
    averaged = fine.reshape(-1, 12, 4, 12, 4).mean((2, 4))
    np.testing.assert_allclose(small.vision_only(small.encode_image(pictures)), averaged, 1e-5)


def test_wrong_weights_and_recipes_are_refused(tmp_path: Path, network: UNetNetwork) -> None:
    encoder = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    with refused("E_SCHEMA", where="recipe.toml", kind=ModelError):
        assembled(tmp_path, network, decoder=(8, 8, 8, 8, 8, 8))
    with refused("E_WEIGHTS_MISFIT", where="w.safetensors", kind=WeightsError) as caught:
        assembled(tmp_path, network, decoder=(32, 16, 8, 4))
    assert "decoder.3.0.weight" in str(caught.value)
    save_checkpoint(tmp_path / "trunk.safetensors", seeded_state(encoder))
    with refused("E_WEIGHTS_MISFIT", where="encoder.conv1.weight", kind=WeightsError):
        UNet.assemble(
            Assembly(
                name="unet",
                variant="small",
                recipe=tmp_path / "recipe.toml",
                architecture=SMALL.model_dump(),
                preprocessing={},
                weights=tmp_path / "trunk.safetensors",
                weights_sha256=None,
                seed=0,
                options={},
            )
        )
