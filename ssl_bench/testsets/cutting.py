"""Which picture stands for a clip: the conventions of public code, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ssl_bench.media.video import Moment, length_unknown


@dataclass(frozen=True)
class Span:
    """The part of a video that a clip is.

    Attributes
    ----------
    start, seconds
        Where it begins in the video, and how long it lasts; 0 where that is not known.
    rate
        Pictures of the video in a second.
    number
        Which of a clip's pictures is asked for, from 1.
    """

    start: float
    seconds: float
    rate: Fraction
    number: int = 1


@dataclass(frozen=True)
class Convention:
    """How clips become pictures.

    Attributes
    ----------
    about, source
        What it does, and the public code or answer that it follows.
    seconds
        How long a clip lasts that is a part of a longer video.
    choose
        The moment of the picture; DataError where it needs to know how long the clip lasts.
    or_last
        Whether a video that ends before gives its last picture.
    """

    about: str
    source: str
    seconds: float
    choose: Callable[[Span], Moment]
    or_last: bool = False


def _middle(span: Span) -> Moment:
    if not span.seconds:
        raise length_unknown()
    at = Fraction(span.start) + Fraction(span.seconds) / 2
    return Moment(int(at * span.rate), span.rate)


def _frame_125(span: Span) -> Moment:
    return Moment(round(25 * span.start) + 125, Fraction(25))


def _last_sixteenth(span: Span) -> Moment:
    whole = round(span.rate)
    within = int((span.number - 1) * whole + Fraction(15, 16) * whole)
    return Moment(int(Fraction(span.start) * span.rate) + within, span.rate)


def _third_quarter(span: Span) -> Moment:
    return Moment(int(Fraction(span.start) * span.rate) + 2 * int(span.rate / 4), span.rate)


CONVENTIONS: Mapping[str, Convention] = {
    "middle": Convention(
        "the picture in the middle of the clip",
        "stoneMo/EZ-VSL, answer of the authors to issue 1",
        10.0,
        _middle,
    ),
    "vggss": Convention(
        "picture number 125, at 25 a second, on which the boxes were drawn",
        "swimmiing/ACL-SSL, VGGSS/README.md",
        10.0,
        _frame_125,
    ),
    "flickr": Convention(
        "the picture in the middle of the clip",
        "stoneMo/EZ-VSL, answer of the authors to issue 1",
        20.0,
        _middle,
    ),
    "avsbench": Convention(
        "for each second, the picture at 15/16 of it; the last one where a clip is shorter",
        "OpenNLPLab/AVSBench, preprocess_scripts/preprocess_s4.py (extract_frame_for_each_video)",
        5.0,
        _last_sixteenth,
        or_last=True,
    ),
    "music": Convention(
        "the third of the four pictures that are taken from each second",
        "DTaoo/Discriminative-Sounding-Objects-Localization, data/cut_videos.py "
        "(video2frame_update) and data/cut_audios.py",
        1.0,
        _third_quarter,
    ),
}
"""Conventions by name; the first is for folders that no test set describes."""

CONVENTION_OF = {
    "vggss": "vggss",
    "flickr": "flickr",
    "avsbench-s4": "avsbench",
    "avsbench-ms3": "avsbench",
}
"""The convention of each test set whose media are cut from clips."""
