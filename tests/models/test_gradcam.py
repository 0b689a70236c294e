from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import seeded_state
from refusals import refused
from torch import Tensor

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.gradcam import (
    GradCAM,
    VGGArchitecture,
    VGGNetwork,
    top_class_saliency,
)
from ssl_bench.models.provenance import describe
from ssl_bench.models.recipes import Assembly

SMALL = VGGArchitecture(stages=((6,), (8, 8)), batch_norm=True, grid=2, hidden=12, classes=9)


@pytest.fixture(scope="module")
def network() -> VGGNetwork:
    small = VGGNetwork(SMALL).eval()
    small.load_state_dict(seeded_state(small))
    return small


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.randn(3, 3, 24, 32, generator=torch.Generator().manual_seed(4))


def plain_grad_cam(network: VGGNetwork, image: Tensor, category: int) -> Tensor:
    """One class, by one backward pass through the whole network."""
    kept: list[Tensor] = []
    last_activation = network.features[-2]

    def keep(module: torch.nn.Module, inputs: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handle = last_activation.register_forward_hook(keep)
    try:
        network(image[None].clone().requires_grad_())[0, category].backward()
    finally:
        handle.remove()
    activation = kept[0]
    total = torch.zeros(activation.shape[2:])
    for channel in range(activation.shape[1]):
        total += activation[0, channel] * activation.grad[0, channel].mean()
    return total.clamp(min=0).detach()


def assembled(
    folder: Path, options: dict[str, object], trained: VGGNetwork | None = None
) -> GradCAM:
    save_checkpoint(folder / "w.safetensors", seeded_state(trained or VGGNetwork(SMALL)))
    return GradCAM.assemble(
        Assembly(
            name="gradcam",
            variant="small",
            recipe=folder / "recipe.toml",
            architecture={**SMALL.model_dump(), "top": 4},
            preprocessing={"image": {"side": 32}},
            weights=folder / "w.safetensors",
            weights_sha256=None,
            seed=0,
            options=options,
        )
    )


def test_vgg11_has_the_entries_of_torchvisions() -> None:
    with torch.device("meta"):
        state = VGGNetwork(VGGArchitecture()).state_dict()
    convolutions = [0, 3, 6, 8, 11, 13, 16, 18]
    names = [f"features.{i}" for i in convolutions] + [f"classifier.{i}" for i in (0, 3, 6)]
    assert list(state) == [f"{name}.{part}" for name in names for part in ("weight", "bias")]
    assert state["classifier.0.weight"].shape == (4096, 512 * 7 * 7)
    assert state["classifier.6.weight"].shape == (1000, 4096)
    # The number of parameters that torchvision states for VGG-11.
    assert sum(tensor.numel() for tensor in state.values()) == 132_863_336


def test_the_last_map_of_vgg11_is_that_of_the_last_convolution() -> None:
    with torch.device("meta"):
        network = VGGNetwork(VGGArchitecture())
        assert network.last_map(torch.zeros(1, 3, 224, 224)).shape == (1, 512, 14, 14)
        assert len(network.features) == 21


@pytest.mark.parametrize("top", [1, 2, 5, 9])
def test_all_classes_at_once_agree_with_a_loop_over_classes(
    network: VGGNetwork, pixels: Tensor, top: int
) -> None:
    maps = top_class_saliency(network, pixels, top)
    for image, found in zip(pixels, maps, strict=True):
        likeliest = network(image[None])[0].argsort(descending=True)[:top]
        expected = torch.stack([plain_grad_cam(network, image, int(k)) for k in likeliest])
        torch.testing.assert_close(found, expected.amax(dim=0), rtol=1e-5, atol=1e-7)
    assert maps.amax() > 0


def test_classes_can_be_put_on_one_scale(network: VGGNetwork, pixels: Tensor) -> None:
    maps = top_class_saliency(network, pixels, 9, normalize_classes=True)
    for image, found in zip(pixels, maps, strict=True):
        each = torch.stack([plain_grad_cam(network, image, k) for k in range(9)])
        peaks = each.amax(dim=(1, 2), keepdim=True)
        expected = torch.where(peaks > 0, each / peaks.clamp(min=1e-30), 0).amax(dim=0)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_more_classes_never_lower_a_map(network: VGGNetwork, pixels: Tensor) -> None:
    maps = [top_class_saliency(network, pixels, top) for top in range(1, 10)]
    for fewer, more in pairwise(maps):
        assert (fewer - more).max() < 1e-6


def test_a_linear_classifier_of_the_mean_gives_its_class_activation_map() -> None:
    """Where the logit is w . mean(F), the gradient is w / hw: the map is ReLU(w . F) / hw."""
    network = VGGNetwork(VGGArchitecture(stages=((3,),), grid=1, hidden=3, classes=2)).eval()
    network.features[-1] = torch.nn.Identity()
    network.classifier = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False))
    weight = torch.tensor([[1.0, -2.0, 0.5], [-9.0, -9.0, -9.0]])
    network.load_state_dict({**network.state_dict(), "classifier.0.weight": weight})
    pixels = torch.randn(1, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    activation = network.last_map(pixels)[0]
    expected = torch.einsum("c,chw->hw", weight[0], activation).relu() / 20
    torch.testing.assert_close(top_class_saliency(network, pixels, 1)[0], expected)


def test_a_map_neither_leaves_gradients_behind_nor_needs_them(pixels: Tensor) -> None:
    fresh = VGGNetwork(SMALL).eval()
    with torch.no_grad():
        maps = top_class_saliency(fresh, pixels, 3)
    assert not maps.requires_grad
    assert all(parameter.grad is None for parameter in fresh.parameters())


def test_the_number_of_classes_is_an_option_on_record(
    tmp_path: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    default, first = assembled(tmp_path, {}), assembled(tmp_path, {"top": 1})
    assert describe(default)["options"] == {"top": 4, "normalize_classes": False}
    assert describe(first)["options"]["top"] == 1
    maps = [model.vision_only(model.encode_image(pictures)) for model in (default, first)]
    assert (maps[1] - maps[0]).max() < 1e-5
    assert (maps[0] - maps[1]).max() > 1e-2


@pytest.mark.parametrize(
    ("options", "code", "facts"),
    [
        ({"top": 10}, "E_OPTION_TOP", ["10", "9 classes", "top=N"]),
        ({"top": 0}, "E_SCHEMA", ["top"]),
        ({"number": 3}, "E_SCHEMA", ["number"]),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path, options: dict[str, object], code: str, facts: list[str]
) -> None:
    with refused(code, where="options of gradcam", kind=ModelError) as caught:
        assembled(tmp_path, options)
    for fact in facts:
        assert fact in str(caught.value)


@pytest.mark.parametrize(("classes", "top"), [(3, 3), (40, 4)])
def test_weights_may_tell_other_classes_apart(
    tmp_path: Path, pictures: list[NDArray[np.uint8]], classes: int, top: int
) -> None:
    other = VGGNetwork(SMALL.model_copy(update={"classes": classes}))
    model = assembled(tmp_path, {}, other)
    assert describe(model)["options"]["top"] == top
    assert np.isfinite(model.vision_only(model.encode_image(pictures))).all()
    with refused("E_OPTION_TOP", where=f"{classes} classes", kind=ModelError):
        assembled(tmp_path, {"top": 41}, other)


def test_weights_of_another_classifier_are_refused(tmp_path: Path) -> None:
    narrow = VGGNetwork(SMALL.model_copy(update={"hidden": 11, "batch_norm": False}))
    with refused("E_WEIGHTS_MISFIT", where="w.safetensors", kind=WeightsError):
        assembled(tmp_path, {}, narrow)
