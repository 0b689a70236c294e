"""Ranks, recalls and average precision against brute force and scikit-learn."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from ssl_bench.measures.retrieval import (
    CHANCE,
    DEFINITIONS,
    Ranks,
    chance_average_precision,
    chance_median_rank,
    chance_recall,
    ranks,
)
from ssl_bench.measures.values import parse_measure

# Few distinct values, so that ties are common.
TIED = npst.arrays(np.float32, (3, 6), elements=st.sampled_from([-1.0, 0.0, 0.25, 2.0]))
RELEVANT = npst.arrays(np.bool_, (3, 6)).filter(lambda wanted: bool(wanted.any(axis=1).all()))


def ranked(
    similarity: NDArray[np.float32],
    own: NDArray[np.bool_],
    relevant: NDArray[np.bool_],
    ahead: int = 0,
) -> Ranks:
    """Ranks by masks ``(b, n)`` of what is each query's own and what is relevant to it."""
    one = np.ones((3, 1), np.int32)
    rows = [
        ranks(similarity[row : row + 1], one, np.stack(labels).astype(np.int32), ahead)
        for row, labels in enumerate(zip(own, own, relevant, strict=True))
    ]
    return Ranks(*np.concatenate(rows, axis=1))


def worst_order(scores: NDArray[np.float32], wanted: NDArray[np.bool_]) -> list[int]:
    """Items from the best to the worst; where scores tie, the wanted ones come last."""
    return sorted(range(len(scores)), key=lambda item: (-float(scores[item]), bool(wanted[item])))


@given(TIED, npst.arrays(np.intp, 3, elements=st.integers(0, 5)))
def test_the_rank_of_the_own_item_is_its_place_in_the_worst_order(
    similarity: NDArray[np.float32], positive: NDArray[np.intp]
) -> None:
    own = np.arange(6) == positive[:, None]
    expected = [
        1 + worst_order(scores, wanted).index(item)
        for scores, wanted, item in zip(similarity, own, positive.tolist(), strict=True)
    ]
    assert ranked(similarity, own, own).instance.tolist() == expected


@given(TIED, RELEVANT)
def test_of_several_copies_the_first_counts_and_none_stands_in_the_way(
    similarity: NDArray[np.float32], relevant: NDArray[np.bool_]
) -> None:
    expected = [
        1 + min(map(worst_order(scores, wanted).index, np.flatnonzero(wanted).tolist()))
        for scores, wanted in zip(similarity, relevant, strict=True)
    ]
    assert ranked(similarity, relevant, relevant).instance.tolist() == expected


@given(TIED, RELEVANT)
def test_category_ranking_walks_down_the_worst_order(
    similarity: NDArray[np.float32], relevant: NDArray[np.bool_]
) -> None:
    _, first, precision = ranked(similarity, relevant, relevant)
    for row, (scores, wanted) in enumerate(zip(similarity, relevant, strict=True)):
        order = worst_order(scores, wanted)
        places = [place for place, item in enumerate(order, 1) if wanted[item]]
        assert first[row] == places[0]
        shares = [found / place for found, place in enumerate(places, 1)]
        assert precision[row] == pytest.approx(np.mean(shares))


@given(st.integers(0, 10_000))
def test_average_precision_without_ties_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    similarity = rng.permutation(12).astype(np.float32)[None]
    relevant = rng.random((1, 12)) < 0.4
    relevant[0, 0] = True
    precision = ranked(similarity, relevant, relevant).average_precision
    assert precision[0] == pytest.approx(average_precision_score(relevant[0], similarity[0]))


@given(TIED, RELEVANT, st.integers(1, 4))
def test_items_without_a_score_rank_ahead(
    similarity: NDArray[np.float32], relevant: NDArray[np.bool_], ahead: int
) -> None:
    extended = np.concatenate([similarity, np.full((3, ahead), 9, np.float32)], axis=1)
    never = np.concatenate([relevant, np.zeros((3, ahead), bool)], axis=1)
    np.testing.assert_allclose(
        ranked(similarity, relevant, relevant, ahead), ranked(extended, never, never)
    )


@given(TIED, RELEVANT)
def test_what_is_relevant_but_no_copy_stands_in_the_way_of_the_own_item(
    similarity: NDArray[np.float32], relevant: NDArray[np.bool_]
) -> None:
    own = np.arange(6) == relevant.argmax(axis=1)[:, None]
    found = ranked(similarity, own, relevant)
    np.testing.assert_array_equal(found.instance, ranked(similarity, own, own).instance)
    np.testing.assert_array_equal(found[1:], ranked(similarity, relevant, relevant)[1:])


@given(TIED, RELEVANT, st.permutations(range(6)))
def test_neither_order_nor_scale_matters(
    similarity: NDArray[np.float32], relevant: NDArray[np.bool_], order: list[int]
) -> None:
    before = ranked(similarity, relevant, relevant)
    wanted = relevant[:, order]
    np.testing.assert_allclose(ranked(similarity[:, order], wanted, wanted), before)
    np.testing.assert_allclose(ranked(np.exp(similarity), relevant, relevant), before)


def test_a_model_that_likes_everything_alike_ranks_last() -> None:
    similarity = np.zeros((2, 5), np.float32)
    own = np.eye(5, dtype=bool)[[0, 4]]
    assert ranked(similarity, own, own).instance.tolist() == [5, 5]


@pytest.mark.parametrize("relevant", [1, 2, 4])
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_chance_is_the_mean_over_every_order(relevant: int, count: int) -> None:
    items = 4
    wanted = np.arange(items) < relevant
    orders = np.array(list(permutations(range(items))), np.float32)
    everywhere = np.tile(wanted, (len(orders), 1))
    _, first, precision = ranked(orders, everywhere, everywhere)
    numbers = np.array([float(relevant)])
    assert chance_median_rank(items, numbers) == pytest.approx(np.median(first))
    assert chance_recall(count, items, numbers)[0] == pytest.approx((first <= count).mean())
    assert chance_average_precision(items, numbers)[0] == pytest.approx(precision.mean())


def test_chance_is_known_of_every_measure_of_retrieval() -> None:
    assert set(CHANCE) == {definition.name for definition in DEFINITIONS}
    numbers = np.array([1.0, 2.0])
    own = np.ones(2)
    assert CHANCE["recall"](parse_measure("recall(a2i)@2"), 4, own, numbers) == pytest.approx(0.5)
    assert CHANCE["median-rank"](parse_measure("median-rank(i2a)"), 5, own, numbers) == 3
    found = CHANCE["category-recall"](parse_measure("category-recall(a2i)@1"), 4, own, numbers)
    assert found == pytest.approx((1 / 4 + 2 / 4) / 2)


@pytest.mark.parametrize("items", [1, 2, 5, 500, 5158])
def test_the_chance_of_one_own_item_is_the_middle_of_the_gallery(items: int) -> None:
    assert chance_median_rank(items, np.ones(3)) == (items + 1) / 2


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("recall(a2i)@5", ("rank_a2i",)),
        ("recall(i2a)@10", ("rank_i2a",)),
        ("median-rank(i2a)", ("rank_i2a",)),
        ("category-recall(a2i)@1", ("category_rank_a2i",)),
        ("mAP(i2a)", ("average_precision_i2a",)),
    ],
)
def test_a_measure_reads_the_column_of_its_direction(text: str, columns: tuple[str, ...]) -> None:
    assert parse_measure(text).columns == columns
    assert str(parse_measure(text)) == text
