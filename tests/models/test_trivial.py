import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ssl_bench.errors import ModelError
from ssl_bench.models.trivial import Center, Full, Oracle, Random, RandomPixel

Map = NDArray[np.float32]
TRUTH = np.zeros((224, 224), np.float32)

truths = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=60).flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.0, 0.5, 1.0]))
)


def _minmax(map_: Map) -> Map:
    return (map_ - map_.min()) / (map_.max() - map_.min())


def _highest(map_: Map, count: int) -> NDArray[np.bool_]:
    """Pixels that are at least as high as the `count`-th highest."""
    return map_ >= np.sort(map_.ravel())[map_.size - count]


def test_center_falls_with_the_distance_from_the_middle() -> None:
    map_ = Center().map_for("a", TRUTH)
    assert map_.shape == (224, 224)
    assert map_.dtype == np.float32
    assert map_[0, 0] == -2 * 111.5**2
    assert map_[111, 112] == map_.max() == -0.5
    np.testing.assert_array_equal(map_, map_[::-1, ::-1])
    np.testing.assert_array_equal(map_, map_.T)


@pytest.mark.parametrize("localizer", [Center(), Full()])
def test_a_fixed_map_is_the_same_object_for_every_trial(localizer: Center | Full) -> None:
    assert localizer.map_for("a", TRUTH) is localizer.map_for("b", TRUTH + 1)


def test_full_is_flat() -> None:
    assert np.ptp(Full().map_for("a", TRUTH)) == 0


@given(keys=st.lists(st.text(), min_size=1, max_size=5), seed=st.integers(0, 2**40))
def test_random_maps_do_not_depend_on_what_was_asked_before(keys: list[str], seed: int) -> None:
    forward = Random(seed=seed)
    maps = [forward.map_for(key, TRUTH) for key in keys]
    backward = Random(seed=seed)
    again = [backward.map_for(key, TRUTH + 1) for key in reversed(keys)]
    for one, other in zip(maps, reversed(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_random_maps_differ_between_images_and_between_seeds() -> None:
    maps = [Random(seed=seed).map_for(key, TRUTH) for seed in (0, 1) for key in ("a", "b")]
    assert len({map_.tobytes() for map_ in maps}) == 4


def test_random_maps_are_the_same_on_every_machine() -> None:
    assert Random(seed=0).map_for("a", TRUTH)[0, :3].tolist() == pytest.approx(
        [0.1072, 0.0013, 0.1729], abs=1e-4
    )


def test_random_maps_are_uniform_and_have_the_resolution_asked_for() -> None:
    map_ = Random(resolution=100).map_for("a", TRUTH)
    assert map_.shape == (100, 100)
    assert 0 <= map_.min() < 0.01
    assert 0.99 < map_.max() < 1
    assert abs(map_.mean() - 0.5) < 0.01


@pytest.mark.parametrize("settings", [{"seed": -1}, {"resolution": 0}])
def test_impossible_settings_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ModelError):
        Random(**settings)


@given(truths)
def test_the_oracle_survives_storage_as_float16(truth: Map) -> None:
    map_ = Oracle().map_for("a", truth)
    assert map_.shape == truth.shape
    np.testing.assert_array_equal(map_.astype(np.float16).astype(np.float32), map_)


@pytest.mark.slow
@given(truths)
def test_the_oracles_highest_pixels_are_the_truth(truth: Map) -> None:
    positive = truth > 0
    if positive.any():
        map_ = _minmax(Oracle().map_for("a", truth))
        np.testing.assert_array_equal(_highest(map_, int(positive.sum())), positive)


@given(truths)
def test_one_half_separates_the_oracles_truth_from_the_rest(truth: Map) -> None:
    positive = truth > 0
    if positive.any() and not positive.all():
        np.testing.assert_array_equal(_minmax(Oracle().map_for("a", truth)) > 0.5, positive)


@given(truths)
def test_the_oracle_fills_exactly_half_of_the_image(truth: Map) -> None:
    half = truth.size - truth.size // 2
    predicted = _highest(_minmax(Oracle().map_for("a", truth)), half)
    assert predicted.sum() == half
    positive = truth > 0
    assert (predicted & positive).sum() == min(half, positive.sum())


@given(truths)
def test_a_strict_comparison_loses_one_pixel_of_the_oracle(truth: Map) -> None:
    positive, half = int((truth > 0).sum()), truth.size - truth.size // 2
    map_ = Oracle().map_for("a", truth)
    ordered = np.sort(map_.ravel())
    for count in {positive, half} - {0}:
        assert (map_ > ordered[map_.size - count]).sum() == count - 1


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.62, 0.97])
def test_the_oracle_is_exact_on_the_224_grid(share: float) -> None:
    truth = np.zeros((224, 224), np.float32)
    truth[: int(224 * share)] = 1
    map_ = Oracle().map_for("a", truth)
    np.testing.assert_array_equal(_highest(map_, int(truth.sum())), truth > 0)
    assert _highest(map_, 25088).sum() == 25088


def test_agreed_pixels_come_before_half_agreed_ones() -> None:
    truth = np.array([[0.5, 1.0, 0.0], [0.5, 1.0, 0.0]], np.float32)
    map_ = Oracle().map_for("a", truth)
    assert map_[truth == 1].min() > map_[truth == 0.5].max() > map_[truth == 0].max()


def test_noise_of_single_pixels_is_fine_and_depends_on_the_image_alone() -> None:
    truth = np.zeros((0, 0), np.float32)
    one = RandomPixel(seed=1).map_for("a", truth)
    assert one.shape == (224, 224)
    assert len(np.unique(one)) > 50_000 * 0.99
    np.testing.assert_array_equal(one, RandomPixel(seed=1).map_for("a", truth))
    assert (one != RandomPixel(seed=1).map_for("b", truth)).any()
    assert (one != RandomPixel(seed=2).map_for("a", truth)).any()
