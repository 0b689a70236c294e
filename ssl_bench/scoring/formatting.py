"""Values as text, and their position between floor and ceiling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ssl_bench.errors import MeasureError
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.results import Hearing, MeasuredValue, Result

UNDEFINED = "undefined"

_GROUPINGS = {
    "n_boxes": "how many boxes",
    "n_objects": "how many objects",
    "n_sounding": "how many sound",
    "n_silent": "how many are silent",
    "n_capable": "how many could sound",
}


def scale_of(measure: str | Measure) -> float:
    """100 for a share, which is shown in percent; 1 for a rank or an unknown measure."""
    try:
        known = parse_measure(measure) if isinstance(measure, str) else measure
    except MeasureError:
        return 1.0
    return 100.0 if known.definition.unit == "share" else 1.0


def unit_of(measures: Iterable[str]) -> str:
    """What the values of some measures are in, for the head of a table.

    Examples
    --------
    >>> unit_of(["AUC"]), unit_of(["recall(a2i)@1", "median-rank(a2i)"])
    ('percent', 'percent or rank')
    """
    known = [scale_of(measure) == 1.0 for measure in measures]
    if not any(known):
        return "percent"
    return "rank" if all(known) else "percent or rank"


def grouping_title(name: str) -> str:
    """What a breakdown is by, in words.

    Examples
    --------
    >>> grouping_title("n_capable"), grouping_title("my_scene")
    ('how many could sound', 'my scene')
    """
    return _GROUPINGS.get(name, name.replace("_", " "))


def units_in_words(measures: Iterable[str]) -> str:
    """The same, for a caption.

    Examples
    --------
    >>> units_in_words(["AUC"]), units_in_words(["AUC", "median-rank(a2i)"])
    ('Shares in percent', 'Shares in percent, ranks as they are')
    """
    told = {"percent": "Shares in percent", "rank": "Ranks as they are"}
    return told.get(unit_of(measures), "Shares in percent, ranks as they are")


def format_value(
    value: float | None,
    measure: str | Measure,
    *,
    digits: int = 1,
    signed: bool = False,
    minus: str = "-",
) -> str:
    """A value of a measure, or a difference of two: a share in percent, a rank as it is."""
    if value is None:
        return UNDEFINED
    text = f"{scale_of(measure) * value:z,.{digits}f}".replace("-", minus)
    return f"+{text}" if signed and value > 0 else text


def format_interval(
    measured: MeasuredValue,
    form: str = "{value} [{low}, {high}]",
    *,
    signed: bool = False,
    minus: str = "-",
) -> str:
    """A measured value with its interval; without one, the value alone."""
    value = format_value(measured.value, measured.measure, signed=signed, minus=minus)
    if measured.value is None or measured.low is None or measured.high is None:
        return value
    low, high = (
        format_value(bound, measured.measure, minus=minus)
        for bound in (measured.low, measured.high)
    )
    return form.format(value=value, low=low, high=high)


def format_p_value(probability: float) -> str:
    """A p-value with three decimals, or that it is smaller."""
    return "< 0.001" if probability < 0.001 else f"{probability:.3f}"


def value_of(values: Iterable[MeasuredValue], measure: str) -> MeasuredValue | None:
    """The value of that measure; None where it was not measured."""
    return next((value for value in values if value.measure == measure), None)


def hearing_of(result: Result, measure: str) -> Hearing | None:
    """What hearing adds to that measure; None where that is not known."""
    return next((each for each in result.hearing if each.measure == measure), None)


@dataclass(frozen=True)
class Position:
    """A measured value and its references; None where one is unknown."""

    value: MeasuredValue
    # floor, floor_name: The best trivial map by this measure.
    floor: MeasuredValue | None
    floor_name: str | None
    ceiling: MeasuredValue | None  # The best that the threshold rule allows
    audio_blind: MeasuredValue | None  # The model's own audio-blind maps
    hearing: Hearing | None  # What it has beyond the best without sound

    @property
    def without_sound(self) -> MeasuredValue | None:
        """The best that is reached without sound."""
        return None if self.hearing is None else self.hearing.without_sound

    @property
    def best_without(self) -> str | None:
        """Name of what reaches that."""
        return None if self.hearing is None else self.hearing.best_without

    @property
    def adds(self) -> MeasuredValue | None:
        """What hearing adds to that."""
        return None if self.hearing is None else self.hearing.adds

    @property
    def share(self) -> float | None:
        """Position from floor (0) to ceiling (1)."""
        return self.share_at(self.value.value)

    def share_at(self, value: float | None) -> float | None:
        """The same for another value, such as a bound of the interval."""
        floor = None if self.floor is None else self.floor.value
        ceiling = None if self.ceiling is None else self.ceiling.value
        if value is None or floor is None or ceiling is None or floor == ceiling:
            return None
        return (value - floor) / (ceiling - floor)


def position(result: Result, measure: str) -> Position:
    """A result's value by one measure, with its references; raises ResultError if not measured."""
    floors = {
        floor.name: value
        for floor in result.floors
        if (value := value_of(floor.measures, measure)) is not None
    }
    best = parse_measure(measure).best([value.value for value in floors.values()])
    name = None if best is None else list(floors)[best]
    blind = result.vision_only
    return Position(
        value=result[measure],
        floor=None if name is None else floors[name],
        floor_name=name,
        ceiling=None if result.ceiling is None else value_of(result.ceiling.measures, measure),
        audio_blind=None if blind is None else value_of(blind.measures, measure),
        hearing=hearing_of(result, measure),
    )
