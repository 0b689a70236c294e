"""Ids of samples and clips: what they may hold, and which video a clip is from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath
from typing import Annotated

from pydantic import AfterValidator

from ssl_bench.media.audio import AUDIO_SUFFIXES
from ssl_bench.media.image import IMAGE_SUFFIXES

ID_RULE = (
    'an id has 1 to 128 letters, digits, "_", "-" and ".", and does not start with "."; '
    "it becomes part of file names"
)

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_CLIP = re.compile(r"(.+)_[0-9]{6}")
_YOUTUBE = re.compile(r"(?=.*[^0-9])[A-Za-z0-9_-]{11}")
_MEDIA_SUFFIXES = frozenset((*AUDIO_SUFFIXES, *IMAGE_SUFFIXES, ".mp4", ".mkv", ".webm", ".npy"))


class FieldError(ValueError):
    """A field of a table or JSON file that a check of ours refuses, with a code of its own."""

    def __init__(self, problem: str, code: str) -> None:
        super().__init__(problem)
        self.code = code


def is_id(text: str) -> bool:
    """Whether a text follows :data:`ID_RULE`.

    Examples
    --------
    >>> is_id("zYf0pcZ5q3M_000030"), is_id("../../etc/passwd")
    (True, False)
    """
    return _ID.fullmatch(text) is not None


def _checked(text: str) -> str:
    if not is_id(text):
        raise FieldError(ID_RULE, "E_ID")
    return text


Id = Annotated[str, AfterValidator(_checked)]
"""The type of an id in a table or JSON file."""


def duplicates(identifiers: Iterable[str]) -> list[str]:
    """The values that occur more than once, each once, in order of appearance.

    Examples
    --------
    >>> duplicates(["b", "a", "b", "a", "b", "c"])
    ['b', 'a']
    """
    return [identifier for identifier, count in Counter(identifiers).items() if count > 1]


def has_start(clip: str) -> bool:
    """Whether a clip's id ends with its start second, in six digits."""
    return _CLIP.fullmatch(clip) is not None


def video_of(clip: str) -> str:
    """The video of a clip: its id without the start second; an id without one is a whole video.

    Examples
    --------
    >>> video_of("zYf0pcZ5q3M_000030"), video_of("10000130166")
    ('zYf0pcZ5q3M', '10000130166')
    """
    match = _CLIP.fullmatch(clip)
    return match[1] if match else clip


def clip_of_row(fields: list[str]) -> tuple[str, int]:
    """The clip that a row of a list names, and how many of its fields do so.

    Those are an id, perhaps with a media suffix, or video and start second as in VGG-Sound's table.

    Examples
    --------
    >>> clip_of_row(["a_000010.mp4", "dog"]), clip_of_row(["zYf0pcZ5q3M", "30", "dog", "train"])
    (('a_000010', 1), ('zYf0pcZ5q3M_000030', 2))
    """
    name = fields[0].strip() if fields else ""
    start = fields[1].strip() if len(fields) > 1 else ""
    if _YOUTUBE.fullmatch(name) and start.isdecimal():
        return f"{name}_{int(start[:12]):06d}", 2
    suffix = PurePath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in _MEDIA_SUFFIXES else name, 1
