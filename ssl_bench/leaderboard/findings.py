"""What a check of a board found, and what it proves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["wrong", "not checked", "trusted"]


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes
    ----------
    level
        ``wrong``: the board does not prove itself. ``not checked``: it may be right; what would be
        needed to say so was not at hand. ``trusted``: not checked either, and byte for byte that
        of a board that is trusted.
    path
        The file concerned, relative to the board.
    message
        What was found, as a sentence without a full stop.
    field
        The field of an entry, such as ``result.measures.0.value``; empty for the file as a whole.
    stored, recomputed
        What the entry says, and what it should say; empty where that is not the point.
    """

    level: Level
    path: str
    message: str
    field: str = ""
    stored: str = ""
    recomputed: str = ""

    def __str__(self) -> str:
        place = f"{self.path}: {self.field}: " if self.field else f"{self.path}: "
        text = f"{place}{self.message}"
        if self.recomputed:
            text += f" (stored {self.stored}, recomputed {self.recomputed})"
        return f"{text}."


@dataclass(frozen=True)
class Checked:
    """What was checked.

    Attributes
    ----------
    findings
        In the order of paths.
    entries
        Paths of the entries that were scored again and agree.
    """

    findings: tuple[Finding, ...]
    entries: tuple[str, ...]

    @property
    def proven(self) -> bool:
        """Whether everything was checked and found right."""
        return not self.findings
