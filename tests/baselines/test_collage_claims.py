"""What `docs/explanation/collage.md` says of real pixels holds for every training seed."""

from __future__ import annotations

import pytest
from retrain import trainable
from seed_tables import Points, read_points

TRAINED = ("ezvsl", "sslalign", "icl", "lvs")
PRIORS = ("gradcam", "ogl-l1", "ogl-cls")
PARTS = ("standard", "unseen-cutouts", "two-source", "concat", "type-ab B", "interactive")
ADAPTIVE = "cIoU(adaptive)@0.5"


@pytest.fixture(scope="module")
def points() -> Points:
    """Percentages by model, seed, part and measure."""
    return read_points("collage.csv")


def of_seeds(points: Points, name: str, part: str, measure: str = ADAPTIVE) -> list[float]:
    return [points[name, seed, part, measure] for seed in range(3)]


@pytest.mark.parametrize("part", PARTS)
def test_each_was_measured_with_three_seeds_alone_and_mixed(points: Points, part: str) -> None:
    for name in TRAINED:
        assert len(of_seeds(points, name, part)) == 3
        assert len(of_seeds(points, f"{name}+ogl-l1", part)) == 3
    for name in PRIORS:
        assert (name, 0, part, ADAPTIVE) in points


@pytest.mark.parametrize("part", PARTS)
def test_whatever_ships_weights_was_measured_alone_and_mixed(points: Points, part: str) -> None:
    for name in trainable("collage"):
        assert (name, 0, part, ADAPTIVE) in points
        assert (f"{name}+ogl-l1", 0, part, ADAPTIVE) in points


def test_a_prior_is_level_with_the_best_on_standard_scenes(points: Points) -> None:
    best = max(points[name, 0, "standard", ADAPTIVE] for name in PRIORS)
    assert best >= max(max(of_seeds(points, name, "standard")) for name in TRAINED)


@pytest.mark.parametrize("measure", [ADAPTIVE, "pointing"])
def test_priors_fall_where_the_sound_has_to_choose_and_one_model_is_then_ahead(
    points: Points, measure: str
) -> None:
    for part in ("two-source", "interactive"):
        found = [points[name, 0, part, measure] for name in PRIORS]
        whole = [points[name, 0, "standard", measure] for name in PRIORS]
        assert all(here < 0.8 * standard for here, standard in zip(found, whole, strict=True)), part
        assert min(of_seeds(points, "lvs", part, measure)) > max(found), part


def test_what_hears_knows_which_half_sounds_and_what_does_not_hear_does_not(
    points: Points,
) -> None:
    for name in TRAINED:
        assert min(of_seeds(points, name, "concat", "side-accuracy")) > 65
    assert {points[name, 0, "concat", "side-accuracy"] for name in PRIORS} == {50}


@pytest.mark.parametrize("name", TRAINED)
def test_mixing_helps_on_standard_scenes_and_costs_hearing(points: Points, name: str) -> None:
    alone, mixed = (of_seeds(points, each, "standard") for each in (name, f"{name}+ogl-l1"))
    assert all(after > before + 2 for before, after in zip(alone, mixed, strict=True))
    side = of_seeds(points, f"{name}+ogl-l1", "concat", "side-accuracy")
    assert max(side) < min(of_seeds(points, name, "concat", "side-accuracy"))


@pytest.mark.parametrize("part", ["standard", "unseen-cutouts", "two-source"])
def test_what_hears_and_sees_things_move_is_ahead_of_all_that_see_a_picture(
    points: Points, part: str
) -> None:
    others = [points[name, 0, part, ADAPTIVE] for name in PRIORS]
    others += [each for name in TRAINED for each in of_seeds(points, name, part)]
    assert min(of_seeds(points, "avobject", part)) > max(others)


def test_flow_does_not_help_where_silent_things_move_too(points: Points) -> None:
    for part in ("standard", "two-source"):
        flow, picture = (of_seeds(points, name, part) for name in ("heartheflow", "lvs"))
        assert max(min(flow), min(picture)) <= min(max(flow), max(picture)), part
