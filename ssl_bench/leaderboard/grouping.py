"""Findings for a person: one line for each cause."""

from __future__ import annotations

from collections.abc import Iterable

from ssl_bench.leaderboard.submissions import Finding


def grouped(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Findings as lines, each with its level.

    Of one submission, findings with one code are one cause, such as claims that the same maps
    contradict: the first is shown and the others are counted. The same sentence about several
    submissions is one line.

    Examples
    --------
    >>> claims = [
    ...     Finding("wrong", "submissions/synth/a", f"it claims {name}", "E_CLAIM")
    ...     for name in ("AUC", "AP")
    ... ]
    >>> absent = [
    ...     Finding("not checked", f"submissions/vggss/{name}", "no test set", "E_NOT_SCORED")
    ...     for name in "abc"
    ... ]
    >>> for level, line in grouped([*claims, *absent]):
    ...     print(level, "-", line)
    wrong - submissions/synth/a: it claims AUC (and 1 more of this kind). [E_CLAIM]
    not checked - submissions/vggss/a and 2 more: no test set. [E_NOT_SCORED]
    """
    causes: dict[tuple[str, str, str], list[Finding]] = {}
    for each in findings:
        place = "/".join(each.path.split("/")[:3])
        causes.setdefault((each.level, place, each.code), []).append(each)
    same: dict[tuple[str, str, str, int], list[str]] = {}
    for (level, _, code), found in causes.items():
        first = found[0]
        key = (level, code, first.message.rstrip("."), len(found) - 1)
        same.setdefault(key, []).append(first.path)
    return [
        (
            level,
            f"{paths[0]}{_more(len(paths) - 1, ' and {} more')}: {message}"
            f"{_more(others, ' (and {} more of this kind)')}. [{code}]",
        )
        for (level, code, message, others), paths in same.items()
    ]


def _more(count: int, text: str) -> str:
    return text.format(f"{count:,}") if count else ""
