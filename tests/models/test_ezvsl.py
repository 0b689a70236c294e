import json
from pathlib import Path

import torch

from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork


def test_the_default_network_has_the_entries_of_the_authors_checkpoints(vectors: Path) -> None:
    entries = json.loads((vectors / "ezvsl.keys.json").read_text())["entries"]
    state = EZVSLNetwork(EZVSLArchitecture()).state_dict()
    assert [(key, list(value.shape)) for key, value in state.items()] == [
        (entry["key"], entry["shape"]) for entry in entries
    ]


def test_features_have_unit_length(small_architecture: EZVSLArchitecture) -> None:
    network = EZVSLNetwork(small_architecture).eval()
    images = network.encode_images(torch.randn(2, 3, 112, 112))
    sounds = network.encode_sounds(torch.randn(2, 1, 64, 169))
    torch.testing.assert_close(images.norm(dim=1), torch.ones(2, 7, 7))
    torch.testing.assert_close(sounds.norm(dim=1), torch.ones(2))


def test_a_sound_is_its_strongest_activation_wherever_it_occurs(
    small_architecture: EZVSLArchitecture,
) -> None:
    network = EZVSLNetwork(small_architecture).eval()
    short = torch.full((1, 1, 64, 320), -1.3)
    short[..., 100:140] = 0.0
    longer = torch.cat([short, torch.full((1, 1, 64, 160), -1.3)], dim=-1)
    torch.testing.assert_close(network.encode_sounds(short), network.encode_sounds(longer))
