"""Is the page what the board's files say? Every page is rendered again and compared."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any

from ssl_bench.errors import LeaderboardError, SslBenchError
from ssl_bench.leaderboard.documents import bounded_bytes
from ssl_bench.leaderboard.files import find_files
from ssl_bench.leaderboard.findings import Finding
from ssl_bench.schemas import quoted
from ssl_bench.site.board import SITE, read_board
from ssl_bench.site.build import MANIFEST, MANIFEST_FORMAT, digest_of
from ssl_bench.site.media import Wanted, render_media, wanted_media
from ssl_bench.site.pages import Page, shared_files, site_pages
from ssl_bench.site.vendor import table_files

_MOST_BYTES = 2**25
_MOST_SIGNS = 120
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEDIA = re.compile(r"media/[a-z0-9-]+/[0-9a-f]{20}\.(jpg|flac)")
_PAGE = re.compile(r"((entries/[a-z0-9-]+|protocols|baselines)/)?[a-z0-9-]+\.html")
_REMEDY = "build it with 'ssl-bench leaderboard build'"


def check_site(root: Path) -> list[Finding]:
    """Compare a board's site with what would be built from its files.

    The table library, pictures, sounds and the note of what was built last need not be there; what
    is there of them is compared too. Any other file is a fault, for a page could load it. Links are
    not followed.

    Parameters
    ----------
    root
        The board. Without entries, it needs no site.
    """
    site = root / SITE
    if site.is_symlink():
        return [Finding("wrong", SITE, "links are not allowed on a board")]
    if not site.is_dir():
        if find_files(root, (SITE,)).entries:
            return [Finding("wrong", SITE, f"the pages are missing; {_REMEDY}")]
        return []
    found: list[Finding] = []
    pages: dict[str, Page] = {}
    texts = {page.path: page.render() for page in shared_files()}
    media: dict[str, Wanted] = {}
    try:
        board = read_board(root)
        pages = {page.path: page for page in site_pages(board)}
        texts = {path: page.render() for path, page in pages.items()}
        media = wanted_media(board)
        complete = True
    except (SslBenchError, ArithmeticError, LookupError, ValueError) as error:
        reason = str(error).rstrip(".") or type(error).__name__
        found.append(Finding("wrong", SITE, f"it cannot be rendered again ({reason})"))
        complete = False
    optional = table_files()
    there = dict(_files(site))
    for path, is_plain in there.items():
        place = _place(path)
        text = texts.get(path, optional.get(path))
        if not is_plain:
            found.append(Finding("wrong", place, "this is a link or no plain file"))
        elif text is not None:
            found += _compared(site, path, text)
        elif path == MANIFEST:
            found += _manifest(site, pages, texts) if complete else []
        elif path not in media and (complete or not _could_belong(path)):
            found.append(Finding("wrong", place, "this does not belong to the site"))
    found += _media(site, media, [path for path in media if there.get(path)])
    found += [
        Finding("wrong", f"{SITE}/{path}", f"this page is missing; {_REMEDY}")
        for path in texts.keys() - there.keys()
    ]
    return sorted(found, key=lambda each: each.path)


def _place(path: str) -> str:
    return f"{SITE}/{path if path.isprintable() else quoted(path)}"


def _could_belong(path: str) -> bool:
    """Whether a page, a picture or a sound of an entry that cannot be read could be called so."""
    return _PAGE.fullmatch(path) is not None or _MEDIA.fullmatch(path) is not None


def _media(site: Path, wanted: Mapping[str, Wanted], paths: list[str]) -> list[Finding]:
    """Pictures and sounds that are there are those of their trials."""
    found = []
    left = set(paths)
    for path, content in render_media(wanted, paths):
        left.discard(path)
        if not _is_content(site / path, content):
            message = f"it is not what its trial shows or plays; {_REMEDY}"
            found.append(Finding("wrong", f"{SITE}/{path}", message))
    return found + [
        Finding("wrong", f"{SITE}/{path}", "no trial shows or plays this") for path in left
    ]


def _is_content(path: Path, content: bytes) -> bool:
    try:
        return bounded_bytes(path, _MOST_BYTES) == content
    except LeaderboardError:
        return False


def _manifest(site: Path, pages: Mapping[str, Page], texts: Mapping[str, str]) -> list[Finding]:
    """The note of what was built last says of no page that another text is up to date."""
    try:
        content = json.loads(bounded_bytes(site / MANIFEST, _MOST_BYTES))
        noted, media = content["pages"], content["media"]
        states = [(path, state["inputs"], state["sha256"]) for path, state in noted.items()]
        right = (
            content.keys() == {"format", "pages", "media"}
            and content["format"] == MANIFEST_FORMAT
            and all(state.keys() == {"inputs", "sha256"} for state in noted.values())
            and all(_is_digest(digest) for _, *both in states for digest in both)
            and all(_MEDIA.fullmatch(path) and _is_digest(media[path]) for path in media)
            and all(
                path in pages and (inputs != pages[path].inputs or digest == digest_of(texts[path]))
                for path, inputs, digest in states
            )
        )
    except (LeaderboardError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        right = False
    if right:
        return []
    message = "this is no note of what was built; remove it, and build the pages again"
    return [Finding("wrong", f"{SITE}/{MANIFEST}", message)]


def _is_digest(text: Any) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


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
