"""Deep multimodal clustering: clusters by hand and against the authors' code, and the localizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dmc_cases import SEED, SMALL_LAYERS, TINY, images, sounds, tiny_network, vectors
from numpy.typing import NDArray
from recipe_weights import recipe_tensor
from refusals import refused, unsupported

from ssl_bench.errors import WeightsError
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.dmc import (
    DMC,
    UNUSED_ENTRIES,
    DMCArchitecture,
    DMCNetwork,
    distances,
    nearest_maps,
    soft_clusters,
    squared_distances,
)
from ssl_bench.models.recipes import Assembly
from ssl_bench.models.registry import load_baseline

Pictures = list[NDArray[np.uint8]]


def assembly(weights: Path, architecture: Mapping[str, Any]) -> Assembly:
    return Assembly(
        name="mine",
        variant="tiny",
        recipe=Path("recipe.toml"),
        architecture=architecture,
        preprocessing={
            "preset": "small",
            "image": {"side": 32},
            "audio": {"spectrogram": "log-mel", "rate": 11025},
        },
        weights=weights,
        weights_sha256=None,
        seed=0,
        options={},
    )


@pytest.fixture
def model(tmp_path: Path) -> DMC:
    path = tmp_path / "tiny.safetensors"
    bank = recipe_tensor("bank", "bank", (3, 16))
    save_checkpoint(path, {**tiny_network().state_dict(), "sound_bank": bank})
    return DMC.assemble(assembly(path, TINY.model_dump()))


class TestClusters:
    def test_one_iteration_by_hand(self) -> None:
        points = torch.tensor([[[0.0], [1.0], [3.0], [4.0]]])
        found = soft_clusters(points, 2, iterations=1, sharpness=1.0)
        # The first centres are the first and the third point, 0 and 3.
        shares = [1 / (1 + math.exp(first - second)) for first, second in ((0, 3), (1, 2), (3, 0))]
        shares.append(1 / (1 + math.exp(4 - 1)))
        np.testing.assert_allclose(found.assignments[0, 0].numpy(), shares, rtol=1e-4)
        centre = sum(s * p for s, p in zip(shares, (0, 1, 3, 4), strict=True)) / sum(shares)
        assert found.centres[0, 0, 0].item() == pytest.approx(centre, rel=1e-4)

    def test_one_cluster_is_the_mean(self) -> None:
        points = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
        found = soft_clusters(points, 1)
        torch.testing.assert_close(found.centres, points.mean(dim=1, keepdim=True))
        assert (found.assignments == 1).all()

    def test_shares_of_a_point_sum_to_1(self) -> None:
        points = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0))
        found = soft_clusters(points, 3)
        torch.testing.assert_close(found.assignments.sum(dim=1), torch.ones(2, 10))

    def test_equal_points_have_a_gradient(self) -> None:
        points = torch.ones(1, 4, 2, requires_grad=True)
        torch.autograd.backward(soft_clusters(points, 2).centres.sum())
        assert points.grad is not None
        assert points.grad.isfinite().all()

    def test_a_map_is_the_nearest_cluster_of_any_cluster_of_the_sound(self) -> None:
        assignments = torch.tensor([[[[0.7, 0.1, 0.2]], [[0.2, 0.8, 0.2]], [[0.1, 0.1, 0.6]]]])
        centres = torch.tensor([[[0.0], [4.0], [9.0]]])
        for heard, expected in (
            ([[3.0]], [0.2, 0.8, 0.2]),
            ([[-1.0]], [0.7, 0.1, 0.2]),
            ([[-1.0], [8.0]], [0.7, 0.1, 0.6]),
        ):
            found = nearest_maps(assignments, centres, torch.tensor([heard]))
            np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "counts"), [("one", (2, 1)), ("two", (3, 2))])
def test_it_is_the_authors_code(name: str, counts: tuple[int, int]) -> None:
    expected = vectors()
    network = DMCNetwork(DMCArchitecture(clusters=counts[0], sound_clusters=counts[1])).eval()
    state = network.state_dict()
    assert {*state, *UNUSED_ENTRIES} == set(expected["keys"].tolist())
    network.load_state_dict(
        {
            key: recipe_tensor(SEED, key, tuple(value.shape))
            / (SMALL_LAYERS if key.startswith("fc_") else 1)
            for key, value in state.items()
        }
    )
    order = [0, 1, 1, 0]
    with torch.inference_mode():
        found = network.image_clusters(images())
        heard = network.centres_of(network.encode_sounds(sounds()))[[0, 0, 1, 1]]
        apart = distances(found.centres[order], heard)
    np.testing.assert_allclose(apart.numpy(), expected[f"{name}_distances"], rtol=1e-3)
    np.testing.assert_allclose(
        found.assignments[order].flatten(2).numpy(), expected[f"{name}_assignments"], atol=5e-3
    )


class TestLocalizer:
    def test_maps_are_clusters_and_follow_the_sound(self, model: DMC, pictures: Pictures) -> None:
        seen = model.encode_image(pictures[:1])
        centres = seen["centres"][0]
        maps = [
            model.localize(seen, {"audio": np.tile(centre, (1, 2))})[0]
            for centre in (centres[0], centres[1])
        ]
        for found, cluster in zip(maps, seen["assignments"][0], strict=False):
            np.testing.assert_array_equal(found, cluster)
        assert np.abs(maps[0] - maps[1]).max() > 0.5

    def test_the_similarity_is_minus_the_squared_distances(
        self, model: DMC, pictures: Pictures
    ) -> None:
        seen = model.encode_image(pictures)
        heard = {"audio": np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)}
        table = model.similarity(seen, heard)
        assert table.shape == (len(pictures), 5)
        one, two = heard["audio"][3].reshape(2, 8)
        away = [np.linalg.norm(seen["centres"][1] - each, axis=1).min() for each in (one, two)]
        assert table[1, 3] == pytest.approx(-sum(each**2 for each in away), rel=1e-3)
        squares = squared_distances(
            torch.from_numpy(seen["centres"]), torch.from_numpy(heard["audio"]).view(5, 2, 8)
        )
        np.testing.assert_allclose(table, -squares.numpy(), rtol=1e-5)

    def test_the_audio_blind_map_is_the_cluster_nearest_to_any_sound_of_the_bank(
        self, model: DMC, pictures: Pictures
    ) -> None:
        seen = model.encode_image(pictures)
        bank = recipe_tensor("bank", "bank", (3, 16)).reshape(6, 8).numpy()
        for row, found in enumerate(model.vision_only(seen)):
            apart = np.linalg.norm(seen["centres"][row][:, None] - bank, axis=2)
            nearest = int(apart.min(axis=1).argmin())
            np.testing.assert_array_equal(found, seen["assignments"][row, nearest])

    def test_weights_without_a_bank_have_no_audio_blind_map(
        self, tmp_path: Path, pictures: Pictures
    ) -> None:
        path = tmp_path / "tiny.safetensors"
        save_checkpoint(path, tiny_network().state_dict())
        model = DMC.assemble(assembly(path, TINY.model_dump()))
        seen = model.encode_image(pictures[:1])
        with unsupported(model, "vision_only", naming="bank"):
            model.vision_only(seen)

    def test_weights_of_another_shape_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "tiny.safetensors"
        save_checkpoint(path, tiny_network().state_dict())
        wider = TINY.model_dump()
        wider["trunk"]["width"] = 8
        with refused(
            "E_WEIGHTS_MISFIT", where="visual_net.conv1.weight (4, 3, 3, 3)", kind=WeightsError
        ):
            DMC.assemble(assembly(path, wider))


def test_the_full_variant_is_the_authors() -> None:
    variant = load_baseline("dmc").variant("full")
    assert DMCArchitecture.model_validate(variant.architecture) == DMCArchitecture()
