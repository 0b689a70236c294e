"""Is the page what the board's files say? Every page is rendered again and compared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

from ssl_bench.errors import LeaderboardError, SslBenchError
from ssl_bench.leaderboard.findings import Finding
from ssl_bench.leaderboard.documents import bounded_bytes
from ssl_bench.predictions.format import shown
from ssl_bench.site.board import SITE, read_board
from ssl_bench.site.build import MANIFEST
from ssl_bench.site.pages import site_pages
from ssl_bench.site.vendor import table_files

_MOST_BYTES = 2**25
_MOST_SIGNS = 120
_MEDIA = re.compile(r"media/[a-z0-9-]+/[0-9a-f]{20}\.(jpg|flac)")
_REMEDY = "build it with 'ssl-bench leaderboard build'"


def check_site(root: Path) -> list[Finding]:
    """Compare a board's site with what would be built from its files.

    The table library and the pictures and sounds need not be there; what is there of the library
    is compared too. Any other file is a fault, for a page could load it. A board without a site is
    left alone. Links are not followed.

    Parameters
    ----------
    root
        The board.
    """
    site = root / SITE
    if site.is_symlink():
        return [Finding("wrong", SITE, "links are not allowed on a board")]
    if not site.is_dir():
        return []
    try:
        expected = {page.path: page.render() for page in site_pages(read_board(root))}
    except SslBenchError as error:
        return [Finding("not checked", SITE, f"not rendered again ({str(error).rstrip('.')})")]
    optional = table_files()
    found = []
    there = set()
    for path, is_plain in _files(site):
        place = f"{SITE}/{path if path.isprintable() else shown(path)}"
        text = expected.get(path, optional.get(path))
        there.add(path)
        if not is_plain:
            found.append(Finding("wrong", place, "this is a link or no plain file"))
        elif text is not None:
            found += _compared(site, path, text)
        elif path != MANIFEST and _MEDIA.fullmatch(path) is None:
            found.append(Finding("wrong", place, "this does not belong to the site"))
    found += [
        Finding("wrong", f"{SITE}/{path}", f"this page is missing; {_REMEDY}")
        for path in expected.keys() - there
    ]
    return sorted(found, key=lambda each: each.path)


def _files(folder: Path, above: str = "") -> Iterator[tuple[str, bool]]:
    """Everything in a folder that is no folder, and whether it is a plain file."""
    with os.scandir(folder) as items:
        for item in items:
            path = f"{above}{item.name}"
            if item.is_dir(follow_symlinks=False):
                yield from _files(Path(item.path), f"{path}/")
            else:
                yield path, item.is_file(follow_symlinks=False)


def _compared(site: Path, path: str, text: str) -> list[Finding]:
    try:
        stored = bounded_bytes(site / path, _MOST_BYTES)
    except LeaderboardError as error:
        return [Finding("wrong", f"{SITE}/{path}", error.problem)]
    if stored == text.encode("utf-8"):
        return []
    return [_difference(path, stored.decode("utf-8", errors="replace"), text)]


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
