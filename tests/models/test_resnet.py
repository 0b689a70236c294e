import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk, TrunkArchitecture


def test_the_default_trunk_has_the_entries_of_torchvisions_resnet18(vectors: Path) -> None:
    entries = json.loads((vectors / "ogl_l1.keys.json").read_text())["entries"]
    state = ResidualTrunk(TrunkArchitecture(), input_channels=3).state_dict()
    assert [(key, list(value.shape)) for key, value in state.items()] == [
        (entry["key"], entry["shape"]) for entry in entries
    ]


def test_the_default_trunk_gives_a_7x7_map_of_a_224_image_and_9x7_of_a_spectrogram() -> None:
    assert ResidualTrunk(TrunkArchitecture(), 3)(torch.zeros(1, 3, 224, 224)).shape == (
        1,
        512,
        7,
        7,
    )
    assert ResidualTrunk(TrunkArchitecture(), 1)(torch.zeros(1, 1, 257, 200)).shape == (
        1,
        512,
        9,
        7,
    )


def test_the_last_map_is_never_negative() -> None:
    assert ResidualTrunk(SMALL_TRUNK, 3)(torch.randn(2, 3, 48, 48)).min() >= 0


@pytest.mark.parametrize(
    ("size", "grid"), [((112, 112), (7, 7)), ((64, 169), (4, 11)), ((1, 3), (1, 1))]
)
def test_the_small_trunk_takes_any_size(size: tuple[int, int], grid: tuple[int, int]) -> None:
    trunk = ResidualTrunk(SMALL_TRUNK, 1).eval()
    assert trunk(torch.zeros(1, 1, *size)).shape == (1, 64, *grid)


def test_the_small_trunk_trains_in_channels_last_layout() -> None:
    trunk = ResidualTrunk(SMALL_TRUNK, 3).to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, 112, 112).contiguous(memory_format=torch.channels_last)
    trunk(images).square().mean().backward()
    assert all(weight.grad is not None for weight in trunk.parameters())


@pytest.mark.parametrize(
    "table",
    [{"blocks": (1, 1)}, {"stem_kernel": 4}, {"width": 0}, {"depth": 18}, {"shortcut": "none"}],
)
def test_an_inconsistent_architecture_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrunkArchitecture.model_validate(table)
