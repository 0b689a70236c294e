"""Is the page what the board's files say? Every page is rendered again and compared."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

from ssl_bench.errors import SslBenchError
from ssl_bench.leaderboard.check import Finding
from ssl_bench.site.board import SITE, read_board
from ssl_bench.site.build import own_files
from ssl_bench.site.pages import site_pages

_MOST_SIGNS = 120
_REMEDY = "build it with 'ssl-bench leaderboard build'"


def check_site(root: Path) -> list[Finding]:
    """Compare a board's site with what would be built from its files.

    Pictures, sounds and the table library are no part of the comparison. A board without a site is
    left alone.

    Parameters
    ----------
    root
        The board.
    """
    site = root / SITE
    if not site.is_dir():
        return []
    if site.is_symlink():
        return [Finding("wrong", SITE, "links are not allowed on a board")]
    try:
        pages = {page.path: page.render() for page in site_pages(read_board(root))}
    except SslBenchError as error:
        return [Finding("not checked", SITE, f"not rendered again ({str(error).rstrip('.')})")]
    found = []
    for path, text in sorted(pages.items()):
        place = site / path
        if place.is_symlink() or not place.is_file():
            found.append(Finding("wrong", f"{SITE}/{path}", f"this page is missing; {_REMEDY}"))
            continue
        stored = place.read_bytes().decode("utf-8", errors="replace")
        if stored != text:
            found.append(_difference(path, stored, text))
    found += [
        Finding("wrong", f"{SITE}/{path}", f"no page of this board has this name; {_REMEDY}")
        for path in sorted(own_files(site) - pages.keys())
    ]
    return found


def _difference(path: str, stored: str, rendered: str) -> Finding:
    """The first lines that differ, and how many do."""
    lines = [
        line
        for line in unified_diff(stored.splitlines(), rendered.splitlines(), n=0, lineterm="")
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    removed = next((line[1:] for line in lines if line.startswith("-")), "")
    added = next((line[1:] for line in lines if line.startswith("+")), "")
    count = max(
        sum(line.startswith("-") for line in lines), sum(line.startswith("+") for line in lines)
    )
    return Finding(
        "wrong",
        f"{SITE}/{path}",
        f"it is not what the board's files give, in {count:,} lines; {_REMEDY}",
        "page",
        _short(removed),
        _short(added) or "nothing",
    )


def _short(line: str) -> str:
    plain = "".join(sign if sign.isprintable() else "?" for sign in line.strip())
    return plain if len(plain) <= _MOST_SIGNS else f"{plain[:_MOST_SIGNS]}..."
