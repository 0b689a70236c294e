import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from recipe_weights import seeded_state
from torch import Tensor

from ssl_bench.models.oya import (
    SMALL_OYA,
    OyaArchitecture,
    OyaNetwork,
    attention_maps,
    localization_maps,
)


@pytest.fixture(scope="module")
def network() -> OyaNetwork:
    network = OyaNetwork(SMALL_OYA).eval()
    network.load_state_dict(seeded_state(network))
    return network


@st.composite
def features(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Image features, a potential map and sounds; some of them zero throughout."""
    images, sounds, channels, height, width = (draw(st.integers(1, 4)) for _ in range(5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    scale = draw(st.sampled_from([1e-4, 1.0, 1e4]))
    visual = scale * torch.randn(images, channels, height, width, generator=generator).relu()
    heard = scale * torch.randn(sounds, channels, generator=generator).relu()
    logits = 9 * torch.randn(images, height * width, generator=generator)
    return visual, logits.softmax(dim=1).view(images, height, width), heard


class TestSelection:
    @given(features())
    @settings(deadline=None)
    def test_attention_lies_between_0_and_1(self, drawn: tuple[Tensor, Tensor, Tensor]) -> None:
        visual, _, sounds = drawn
        attention = attention_maps(visual, sounds)
        assert attention.shape == (len(visual), len(sounds), *visual.shape[2:])
        assert float(attention.min()) >= 0
        assert float(attention.max()) <= 1 + 1e-6

    @given(features())
    @settings(deadline=None)
    def test_a_localization_map_sums_to_1(self, drawn: tuple[Tensor, Tensor, Tensor]) -> None:
        visual, potential, sounds = drawn
        maps = localization_maps(attention_maps(visual, sounds), potential)
        assert float(maps.min()) >= 0
        torch.testing.assert_close(maps.sum(dim=(2, 3)), torch.ones(len(visual), len(sounds)))

    @pytest.mark.slow
    @given(features())
    @settings(deadline=None)
    def test_it_is_never_where_nothing_could_sound(
        self, drawn: tuple[Tensor, Tensor, Tensor]
    ) -> None:
        visual, potential, sounds = drawn
        assume(potential[0].numel() > 1)
        silent = potential.clone()
        silent[:, 0, 0] = 0
        silent /= silent.sum(dim=(1, 2), keepdim=True)
        maps = localization_maps(attention_maps(visual, sounds), silent)
        assert float(maps[:, :, 0, 0].max()) == 0

    def test_a_constant_potential_map_leaves_attention_alone(self) -> None:
        attention = torch.tensor([[[[0.2, 0.6], [0.0, 0.8]]]])
        maps = localization_maps(attention, torch.full((1, 2, 2), 0.25))
        torch.testing.assert_close(maps, attention / 1.6)

    def test_equal_attention_leaves_the_potential_map_alone(self) -> None:
        potential = torch.tensor([[[0.1, 0.2], [0.3, 0.4]]])
        for value in (0.0, 0.3, 1.0):
            maps = localization_maps(torch.full((1, 1, 2, 2), value), potential)
            torch.testing.assert_close(maps[:, 0], potential)

    def test_sounds_may_be_given_for_each_image(self) -> None:
        visual, sounds = torch.rand(3, 5, 2, 2), torch.rand(3, 5)
        pairs = attention_maps(visual, sounds)
        own = attention_maps(visual, sounds[:, None])
        torch.testing.assert_close(own[:, 0], pairs[torch.arange(3), torch.arange(3)])


class TestNetwork:
    def test_the_full_one_has_the_papers_layers(self) -> None:
        shapes = {
            key: tuple(value.shape)
            for key, value in OyaNetwork(OyaArchitecture()).state_dict().items()
        }
        convolutions = {key: shape for key, shape in shapes.items() if len(shape) == 4}
        widths = [shape[:2] for shape in convolutions.values()]
        assert widths == [
            *[(64, 3), (128, 64), (256, 128), (256, 256), (512, 256), (512, 512)],
            *[(512, 512), (512, 512), (1, 512)],
            *[(32, 2), (32, 32), (64, 32), (64, 64), (128, 64)],
            *[(128, 128)] * 5,
        ]
        assert shapes["sound_projection.0.weight"] == (512, 128 * 32)
        assert shapes["matching.2.weight"] == (512, 512)
        assert [key for key in shapes if key.startswith("features.")] == [
            f"features.{place}.{kind}"
            for place in (0, 3, 6, 8, 11, 13)
            for kind in ("weight", "bias")
        ]

    @pytest.mark.parametrize(("side", "cells"), [(224, 14), (256, 16)])
    def test_the_full_one_halves_an_image_four_times(self, side: int, cells: int) -> None:
        shallow = OyaArchitecture(
            image_stages=((2,),) * 4, sound_stages=((2,),), bins=1, hidden=2, dimension=2
        )
        visual, potential = OyaNetwork(shallow).encode_images(torch.zeros(1, 3, side, side))
        assert visual.shape == (1, 2, cells, cells)
        assert potential.shape == (1, cells, cells)

    def test_features_are_never_negative_and_potential_maps_sum_to_1(
        self, network: OyaNetwork
    ) -> None:
        visual, potential = network.encode_images(torch.randn(3, 3, 112, 112))
        sounds = network.encode_sounds(torch.randn(3, 2, 256, 40))
        assert min(float(each.min().detach()) for each in (visual, potential, sounds)) >= 0
        torch.testing.assert_close(potential.sum(dim=(1, 2)), torch.ones(3))

    def test_without_potential_localization_the_map_is_flat(self) -> None:
        flat = OyaNetwork(SMALL_OYA.model_copy(update={"potential": "constant"}))
        assert not [key for key in flat.state_dict() if key.startswith("potential")]
        _, potential = flat.encode_images(torch.randn(2, 3, 112, 112))
        torch.testing.assert_close(potential, torch.full((2, 7, 7), 1 / 49))

    @pytest.mark.parametrize("frames", [16, 87, 300])
    def test_a_sound_may_have_any_length(self, network: OyaNetwork, frames: int) -> None:
        assert network.encode_sounds(torch.randn(2, 2, 256, frames)).shape == (2, 64)

    def test_times_are_averaged_and_frequencies_are_not(self, network: OyaNetwork) -> None:
        """A steady sound is the same for any length; a tone is not one of another pitch."""
        steady = torch.rand(1, 2, 256, 1, generator=torch.Generator().manual_seed(0))
        inner = network.sound_features(steady.expand(-1, -1, -1, 640)).mean(dim=3)
        longer = network.sound_features(steady.expand(-1, -1, -1, 1280)).mean(dim=3)
        torch.testing.assert_close(inner, longer, atol=0.05, rtol=0.05)
        low, high = torch.zeros(2, 1, 2, 256, 40)
        low[:, 0, 20:24], high[:, 0, 200:204] = 5.0, 5.0
        heard = network.encode_sounds(torch.cat([low, high]))
        assert not torch.allclose(heard[0], heard[1], rtol=1e-2)

    @given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
    @settings(max_examples=20, deadline=None)
    def test_similarities_lie_between_0_and_1(
        self, network: OyaNetwork, images: int, sounds: int, seed: int
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        visual = torch.randn(images, 64, 3, 3, generator=generator).relu()
        potential = torch.full((images, 3, 3), 1 / 9)
        heard = torch.randn(sounds, 64, generator=generator).relu()
        with torch.no_grad():
            table = network.similarity(visual, potential, heard)
        assert table.shape == (images, sounds)
        assert float(table.min()) >= 0
        assert float(table.max()) <= 1 + 1e-6

    def test_a_similarity_is_that_of_its_own_pair(self, network: OyaNetwork) -> None:
        generator = torch.Generator().manual_seed(0)
        visual = torch.rand(3, 64, 4, 4, generator=generator)
        potential = torch.rand(3, 16, generator=generator).softmax(dim=1).view(3, 4, 4)
        sounds = torch.rand(2, 64, generator=generator)
        with torch.no_grad():
            table = network.similarity(visual, potential, sounds)
            for n in range(3):
                for m in range(2):
                    places = visual[n].flatten(1).T
                    attention = torch.cosine_similarity(places, sounds[m][None], dim=1)
                    weights = attention * potential[n].flatten()
                    answer = network.matching((weights / weights.sum()) @ places)
                    expected = torch.cosine_similarity(answer, sounds[m], dim=0)
                    torch.testing.assert_close(table[n, m], expected, atol=1e-5, rtol=1e-5)

    def test_it_starts_from_hes_distribution(self) -> None:
        torch.manual_seed(0)
        network = OyaNetwork(OyaArchitecture())
        weights = network.features[13].weight
        assert isinstance(weights, Tensor)
        assert weights.std().item() == pytest.approx(np.sqrt(2 / (512 * 9)), rel=0.02)
