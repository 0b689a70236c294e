"""Reported figures in one picture with floor, ceiling and measured entries of their test set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ssl_bench.leaderboard.board import Competition
from ssl_bench.leaderboard.published import PublishedFigure
from ssl_bench.scoring.formatting import position
from ssl_bench.site.drawing import Scale, Strip
from ssl_bench.site.printed import printed_table
from ssl_bench.site.rendering import shown
from ssl_bench.site.tables import listens
from ssl_bench.statistics.bootstrap import wilson

_TRAINED_ON_TEST = {
    ("vggsound-144k", "vggss"): "yes: 3,709 of the 5,158 clips are in its public list",
    ("vggsound-full", "vggss"): "not known: no list is public",
}
"""What is known of training sets of VGG-Sound, by test set (``ssl-bench data audit``)."""


@dataclass(frozen=True)
class PictureLine:
    """One figure of the picture, measured or reported.

    Attributes
    ----------
    kind
        ``entry`` where it was measured, ``reported`` where a paper prints it.
    interval
        Of a reported figure, that of a share of independent trials.
    is_deaf
        Whether it does not listen.
    band
        A letter, shared by all reported figures within the interval of the highest of them.
    trained_on_test
        What is known of test clips in its training; empty where nothing is.
    """

    kind: str
    name: str
    source: str
    text: str
    interval: str
    strip: Strip
    href: str = ""
    is_deaf: bool = False
    band: str = ""
    train_set: str = ""
    trained_on_test: str = ""


@dataclass(frozen=True)
class Picture:
    """Reported figures between floor and ceiling, best first.

    Attributes
    ----------
    floor, ceiling
        Their values as text; empty where there are none.
    half
        Half the width of the interval of the highest reported figure.
    n_printed, n_reported
        Figures in the tables of papers, and lines that are left of them.
    n_above, n_trained_on_test
        How many of these lie above the floor, and are of models that were trained on test clips.
    """

    measure: str
    n_trials: int
    lines: tuple[PictureLine, ...]
    zone: tuple[str, str]
    floor: str
    floor_name: str
    ceiling: str
    half: str
    n_printed: int
    n_reported: int
    n_above: int
    n_trained_on_test: int


def reported_picture(
    competition: Competition, figures: Iterable[PublishedFigure]
) -> Picture | None:
    """Reported figures by the protocol's first measure; None where there are none to compare.

    The same figure in several tables, of a method, variant and training set, is one line.
    """
    measure = competition.protocol.measures[0]
    chosen = [
        each
        for each in figures
        if each.metric == measure and each.test_set == competition.protocol.test_set.name
    ]
    entries = competition.ranked
    if not chosen or not entries:
        return None
    ends = position(entries[0].result, measure)
    n_trials = entries[0].result.coverage.expected
    merged: dict[tuple[str, str, str, float], list[PublishedFigure]] = {}
    for each in sorted(chosen, key=lambda figure: -figure.value):
        merged.setdefault((each.method, each.variant, each.train_set, each.value), []).append(each)
    intervals = {key: wilson(n_trials * key[3] / 100, n_trials) for key in merged}
    floor, ceiling = (None if each is None else each.value for each in (ends.floor, ends.ceiling))
    # Room for the label of the highest.
    most = 1.1 * max([*(high for _, high in intervals.values()), ceiling or 0.0])
    scale = Scale(0.0, most)
    lines: list[tuple[float, PictureLine]] = []
    band, lowest = "", 2.0
    for key, found in merged.items():
        low, high = intervals[key]
        value = key[3] / 100
        if value < lowest:
            band, lowest = _next(band), low
        rows = printed_table(found).rows
        lines.append(
            (
                value,
                PictureLine(
                    "reported",
                    ", ".join(filter(None, key[:2])),
                    "; ".join(dict.fromkeys(row.label for row in rows)),
                    shown(value, measure),
                    f"{shown(low, measure)} to {shown(high, measure)}",
                    Strip(scale.place(value), scale.place(low), scale.place(high)),
                    is_deaf=found[0].modality != "audio-visual",
                    band=band,
                    train_set=key[2],
                    trained_on_test=_TRAINED_ON_TEST.get(
                        (key[2], competition.protocol.test_set.name), ""
                    ),
                ),
            )
        )
    n_reported = len(lines)
    lines += [
        (
            entry.headline.value,
            PictureLine(
                "entry",
                entry.card.name,
                "measured here",
                shown(entry.headline.value, measure),
                "",
                scale.strip(entry.headline),
                href=f"entries/{competition.folder}/{entry.slug}.html",
                is_deaf=not listens(entry),
            ),
        )
        for entry in entries
        if entry.headline.value is not None
    ]
    lines.sort(key=lambda line: -line[0])
    best = intervals[next(iter(merged))]
    told = [line for _, line in lines if line.kind == "reported"]
    return Picture(
        measure,
        n_trials,
        tuple(line for _, line in lines),
        (scale.place(floor), scale.place(ceiling)),
        "" if floor is None else shown(floor, measure),
        next((each.card.name for each in entries if each.slug == ends.floor_name), ""),
        "" if ceiling is None else shown(ceiling, measure),
        shown((best[1] - best[0]) / 2, measure),
        len(chosen),
        n_reported,
        sum(value > (floor or 0.0) for value, line in lines if line.kind == "reported"),
        sum(line.trained_on_test.startswith("yes") for line in told),
    )


def _next(letter: str) -> str:
    """The letter after another; after Z there are two, as in a spreadsheet."""
    if not letter:
        return "A"
    if letter[-1] == "Z":
        return f"{_next(letter[:-1])}A"
    return f"{letter[:-1]}{chr(ord(letter[-1]) + 1)}"
