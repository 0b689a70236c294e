import torch

from ssl_bench.models.icl import ICLArchitecture, ICLNetwork
from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk, TrunkArchitecture


def small_network() -> ICLNetwork:
    torch.manual_seed(0)
    return ICLNetwork(ICLArchitecture(trunk=SMALL_TRUNK)).eval()


def test_the_published_grids_are_16x16_of_a_256_image_and_14x14_of_a_224_image() -> None:
    trunk = TrunkArchitecture(width=4, strides=ICLArchitecture().trunk.strides)
    network = ICLNetwork(ICLArchitecture(trunk=trunk))
    assert ICLArchitecture().trunk.channels == 512
    assert network.encode_images(torch.zeros(1, 3, 256, 256)).shape == (1, 32, 16, 16)
    assert network.encode_images(torch.zeros(1, 3, 224, 224)).shape == (1, 32, 14, 14)
    assert network.encode_sounds(torch.zeros(1, 1, 251, 64)).shape == (1, 32)


def test_the_image_trunk_has_the_entries_of_torchvisions_resnet18() -> None:
    expected = ResidualTrunk(TrunkArchitecture(), input_channels=3).state_dict()
    found = ICLNetwork(ICLArchitecture()).imgnet.state_dict()
    assert {key: value.shape for key, value in found.items()} == {
        key: value.shape for key, value in expected.items()
    }


def test_features_have_unit_length_and_no_negative_component() -> None:
    network = small_network()
    images = network.encode_images(torch.randn(2, 3, 112, 112))
    sounds = network.encode_sounds(torch.randn(2, 1, 64, 169))
    torch.testing.assert_close(images.norm(dim=1), torch.ones(2, 7, 7))
    torch.testing.assert_close(sounds.norm(dim=1), torch.ones(2))
    assert min(images.min(), sounds.min()) >= 0


def test_a_sound_is_the_average_over_its_whole_map() -> None:
    network = small_network()
    spectrogram = torch.randn(1, 1, 64, 160)
    mean = network.audnet(spectrogram).mean(dim=(2, 3))
    torch.testing.assert_close(network.encode_sounds(spectrogram), mean / mean.norm())
