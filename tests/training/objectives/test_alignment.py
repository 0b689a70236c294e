"""The objective of cross-modal alignment by its properties: no public training code exists."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.training.objectives.alignment import (
    ImageView,
    SoundView,
    alignment_losses,
    image_to_sound_losses,
    localization_similarities,
    semantic_similarities,
)

TAU = 0.1


def _views(seed: int, count: int = 3, batch: int = 4) -> tuple[list[ImageView], list[SoundView]]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return (
        [ImageView(draw(batch, 6, 3, 2), draw(batch, 5)) for _ in range(count)],
        [SoundView(draw(batch, 6), draw(batch, 5)) for _ in range(count)],
    )


def _permuted(views: list, order: torch.Tensor) -> list:
    return [type(view)(*(part[order] for part in view)) for view in views]


def test_s_l_is_the_mean_over_places_of_cosines() -> None:
    places = torch.tensor([[[[2.0, 0.0], [-1.0, 3.0]], [[0.0, 5.0], [0.0, 3.0]]]])
    expected = (1 + 0 - 1 + math.sqrt(0.5)) / 4
    assert localization_similarities(places, torch.tensor([[4.0, 0.0]])).item() == pytest.approx(
        expected
    )


def test_s_a_is_the_cosine_of_projected_features() -> None:
    found = semantic_similarities(torch.tensor([[3.0, 4.0]]), torch.tensor([[2.0, 0.0]]))
    assert found.item() == pytest.approx(0.6)


def test_a_term_by_hand() -> None:
    similarities = torch.tensor([[0.2, 0.0], [0.0, 0.0]])
    first, second = image_to_sound_losses(similarities, TAU).tolist()
    assert first == pytest.approx(math.log(1 + math.exp(-2)))
    assert second == pytest.approx(math.log(2))


def test_images_choose_among_sounds_and_sounds_choose_nothing() -> None:
    # Image 0 is close to all sounds, image 1 to its own alone: along rows only image 0 errs.
    similarities = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    first, second = image_to_sound_losses(similarities, 0.01).tolist()
    assert first == pytest.approx(math.log(2))
    assert second == pytest.approx(0, abs=1e-6)


def test_equal_features_give_the_logarithm_of_the_batch_for_each_of_eighteen_terms() -> None:
    images = [ImageView(torch.ones(5, 6, 2, 2), torch.ones(5, 3))] * 3
    sounds = [SoundView(torch.ones(5, 6), torch.ones(5, 3))] * 3
    losses = alignment_losses(images, sounds, TAU)
    torch.testing.assert_close(losses, torch.full((5,), 18 * math.log(5)))


@given(order=st.permutations(range(4)), seed=st.integers(0, 20))
def test_permuting_the_batch_permutes_the_losses(order: list[int], seed: int) -> None:
    images, sounds = _views(seed)
    chosen = torch.tensor(order)
    torch.testing.assert_close(
        alignment_losses(_permuted(images, chosen), _permuted(sounds, chosen), TAU),
        alignment_losses(images, sounds, TAU)[chosen],
    )


def test_all_pairs_of_views_count_alike() -> None:
    images, sounds = _views(1)
    found = alignment_losses(images, sounds, TAU)
    one_by_one = [alignment_losses([seen], [heard], TAU) for seen in images for heard in sounds]
    assert len(one_by_one) == 9
    torch.testing.assert_close(found, torch.stack(one_by_one).sum(dim=0))


def test_negatives_are_sounds_of_the_same_view() -> None:
    # The first view of sounds is right and the second wrong; pairs of views do not mix them.
    images = [ImageView(torch.eye(2)[:, :, None, None])]
    right, wrong = SoundView(torch.eye(2)), SoundView(torch.eye(2).flip(0))
    both = alignment_losses(images, [right, wrong], TAU)
    expected = math.log1p(math.exp(-1 / TAU)) + math.log1p(math.exp(1 / TAU))
    torch.testing.assert_close(both, torch.full((2,), expected))


def test_without_projections_only_s_l_remains() -> None:
    images, sounds = _views(2, count=1)
    places = [ImageView(view.places) for view in images]
    whole = [SoundView(view.whole) for view in sounds]
    expected = image_to_sound_losses(
        localization_similarities(images[0].places, sounds[0].whole), TAU
    )
    torch.testing.assert_close(alignment_losses(places, whole, TAU), expected)
    assert (alignment_losses(images, sounds, TAU) > expected).all()


@given(scale=st.floats(0.1, 10))
def test_the_length_of_features_does_not_matter(scale: float) -> None:
    images, sounds = _views(3, count=1)
    scaled = [ImageView(scale * view.places, scale * view.semantic) for view in images]
    torch.testing.assert_close(
        alignment_losses(scaled, sounds, TAU),
        alignment_losses(images, sounds, TAU),
        atol=1e-3,
        rtol=1e-4,
    )
