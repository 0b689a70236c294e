"""What people already have, read; and what they need elsewhere, written."""

from __future__ import annotations

from collections.abc import Sequence

from ssl_bench.errors import Problem

_MAX_PROBLEMS = 10


def capped(problems: Sequence[Problem]) -> list[Problem]:
    """The first ten problems, and one for how many more there are."""
    more = len(problems) - _MAX_PROBLEMS
    listed = list(problems[:_MAX_PROBLEMS])
    return [*listed, Problem(f"and {more:,} more", listed[-1].code)] if more > 0 else listed
