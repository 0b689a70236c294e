from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from standin_results import measured, result

from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.formatting import (
    Position,
    format_interval,
    format_value,
    position,
    scale_of,
)
from ssl_bench.scoring.results import Hearing, Reference, Result, VisionOnly


def with_floors(
    measure: str, own: float, floors: dict[str, float | None], ceiling: float | None
) -> Result:
    return result(measured(measure, own)).model_copy(
        update={
            "floors": tuple(
                Reference(name=name, measures=(measured(measure, value),))
                for name, value in floors.items()
            ),
            "ceiling": Reference(name="ceiling", measures=(measured(measure, ceiling),)),
        }
    )


class TestBest:
    def test_follows_the_direction_of_the_measure(self) -> None:
        assert parse_measure("AUC").best([0.1, 0.3, 0.3]) == 1
        assert parse_measure("pIA").best([0.1, None, 0.05]) == 2

    def test_nothing_is_best_where_nothing_is_defined(self) -> None:
        assert parse_measure("AUC").best([None, None]) is None
        assert parse_measure("AUC").best([]) is None


class TestFormat:
    def test_the_unit_decides_what_is_a_percentage(self) -> None:
        assert scale_of(parse_measure("pointing")) == 100
        assert format_interval(measured("median-rank(a2i)", 12.0, 1.0)) == "12.0 [11.0, 13.0]"
        assert format_interval(measured("AUC", 0.12, 0.01)) == "12.0 [11.0, 13.0]"

    def test_a_measure_of_another_version_is_written_as_it_is(self) -> None:
        assert format_interval(measured("of another version", 12.0, 1.0)) == "12.0 [11.0, 13.0]"

    def test_differences_have_their_sign(self) -> None:
        assert format_interval(measured("AUC", 0.05, 0.01), signed=True) == "+5.0 [4.0, 6.0]"
        assert format_value(0.0, "AUC", signed=True) == "0.0"
        assert format_value(-0.05, "AUC", signed=True, minus="m") == "m5.0"

    def test_what_is_undefined(self) -> None:
        assert format_interval(measured("AUC", None)) == "undefined"
        assert format_interval(measured("AUC", 0.5, None)) == "50.0"


class TestPosition:
    def test_the_best_floor_of_a_measure_is_taken(self) -> None:
        found = position(with_floors("AUC", 0.5, {"a": 0.1, "b": 0.25}, 0.75), "AUC")
        assert (found.floor_name, found.share) == ("b", 0.5)

    def test_lower_is_better_for_some_measures(self) -> None:
        found = position(with_floors("pIA", 0.5, {"a": 0.9, "b": 0.75}, 0.25), "pIA")
        assert (found.floor_name, found.share) == ("b", 0.5)

    def test_what_is_unknown(self) -> None:
        alone = position(result(measured("AUC", 0.5), floors={}, ceiling=None), "AUC")
        assert alone == Position(measured("AUC", 0.5), None, None, None, None, None)
        assert alone.share is None
        undefined = position(with_floors("AUC", 0.5, {"a": None}, None), "AUC")
        assert undefined.floor is None
        assert undefined.share is None
        assert position(with_floors("AUC", 0.5, {"a": 0.5}, 0.5), "AUC").share is None

    def test_the_audio_blind_maps_stand_beside_it(self) -> None:
        blind = VisionOnly(
            predictions_sha256=None,
            measures=(measured("AUC", 0.25),),
        )
        hearing = Hearing(
            measure="AUC",
            score=measured("AUC", 0.5),
            best_without="prior unet",
            without_sound=measured("AUC", 0.25),
            adds=measured("AUC", 0.25, 0.1),
        )
        whole: Result = result(measured("AUC", 0.5)).model_copy(
            update={"vision_only": blind, "hearing": (hearing,)}
        )
        found = position(whole, "AUC")
        assert found.audio_blind == blind.measures[0]
        assert (found.without_sound, found.best_without, found.adds) == (
            hearing.without_sound,
            "prior unet",
            hearing.adds,
        )

    @given(st.floats(0, 1), st.floats(0, 0.4), st.floats(0.5, 1))
    def test_the_share_is_0_at_the_floor_and_1_at_the_ceiling(
        self, score: float, floor: float, ceiling: float
    ) -> None:
        found = position(with_floors("AUC", score, {"a": floor}, ceiling), "AUC")
        assert found.share is not None
        assert (found.share > 0) == (score > floor)
        assert found.share_at(floor) == 0
        assert found.share_at(ceiling) == 1
