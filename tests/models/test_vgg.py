import pytest
import torch
from torch import nn

from ssl_bench.models.vgg import VGG11_STAGES, vgg_stack


def test_vgg_11_has_the_weights_that_torchvision_publishes() -> None:
    shapes = {
        key: tuple(value.shape) for key, value in vgg_stack(VGG11_STAGES).state_dict().items()
    }
    places = {0: (3, 64), 3: (64, 128), 6: (128, 256), 8: (256, 256)}
    places |= {11: (256, 512), 13: (512, 512), 16: (512, 512), 18: (512, 512)}
    assert shapes == {
        **{f"{place}.weight": (out, given, 3, 3) for place, (given, out) in places.items()},
        **{f"{place}.bias": (out,) for place, (_, out) in places.items()},
    }


def test_with_batch_normalisation_the_numbers_are_those_of_vgg_11_bn() -> None:
    stack = vgg_stack(VGG11_STAGES, batch_norm=True)
    found = [place for place, layer in enumerate(stack) if isinstance(layer, nn.Conv2d)]
    assert found == [0, 4, 8, 11, 15, 18, 22, 25]


@pytest.mark.parametrize(("last_pool", "side"), [(True, 14), (False, 28)])
def test_each_pooling_halves_the_image(last_pool: bool, side: int) -> None:
    stack = vgg_stack(((2,), (2,), (2, 2), (2, 2)), last_pool=last_pool)
    assert stack(torch.zeros(1, 3, 224, 224)).shape == (1, 2, side, side)


def test_features_are_never_negative() -> None:
    stack = vgg_stack(((4,), (4,)), last_pool=False)
    assert float(stack(torch.randn(2, 3, 16, 16)).detach().min()) == 0
