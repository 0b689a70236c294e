"""Building the site: only pages whose inputs changed are rendered again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_bench.errors import LeaderboardError
from ssl_bench.files import atomic_path, sha256_of_file, sha256_of_json, write_text
from ssl_bench.site.board import SITE, Board, read_board
from ssl_bench.site.gallery import MEDIA
from ssl_bench.site.media import makers_digest, render_media, wanted_media
from ssl_bench.site.pages import Page, site_pages
from ssl_bench.site.vendor import table_files

MANIFEST = "build.json"
"""What each page was last rendered from. It is no part of the site, and may be deleted."""

_OWN = ("*.html", "protocols/*.html", "baselines/*.html", "entries/*/*.html", "assets/*.*")
MANIFEST_FORMAT = "ssl-bench-site/2"


@dataclass(frozen=True)
class Built:
    """What a build did, by paths within the site.

    Attributes
    ----------
    rendered, unchanged
        Pages that were rendered, and those that were left as they are.
    removed
        Pages of entries that are gone.
    """

    folder: Path
    rendered: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]


def build_site(
    root: Path,
    out: Path | None = None,
    *,
    media: bool = True,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Built:
    """Build the site of a board.

    Parameters
    ----------
    root
        The board.
    out
        Folder of the site; None for ``site`` in the board.
    media
        Whether pictures and sounds are rendered.
    progress
        Called with what is being done, how much is done and how much there is.
    notify
        Called with a short text at the start of each stage.

    Raises
    ------
    LeaderboardError
        If the board cannot be read; the site is then left as it is.
    """
    notify("reading entries")
    board = read_board(root)
    site = site_folder(root, out)
    _refuse_strange(site)
    pages = site_pages(board)
    manifest = _read_manifest(site)
    rendered, unchanged = [], []
    written: dict[str, dict[str, str]] = {}
    for number, page in enumerate(pages, start=1):
        path = site / page.path
        before = manifest["pages"].get(page.path)
        if before is not None and before == _state(page, path):
            unchanged.append(page.path)
            written[page.path] = before
        else:
            text = page.render()
            write_text(path, text)
            rendered.append(page.path)
            written[page.path] = {"inputs": page.inputs, "sha256": digest_of(text)}
        progress("pages", number, len(pages))
    removed = _remove_others(site, written)
    for name, text in table_files().items():
        write_text(site / name, text)
    known = manifest["media"]
    content = {
        "format": MANIFEST_FORMAT,
        "pages": dict(sorted(written.items())),
        "media": _renew_media(board, site, known, notify) if media else known,
    }
    write_text(site / MANIFEST, json.dumps(content, indent=1) + "\n")
    return Built(site, tuple(rendered), tuple(unchanged), tuple(removed))


def site_folder(root: Path, out: Path | None = None) -> Path:
    """Folder of a board's site."""
    return root / SITE if out is None else out


def digest_of(text: str) -> str:
    """SHA-256 of a text as it is written."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def own_files(site: Path) -> set[str]:
    """Pages and shared files that lie in a site, whoever put them there."""
    return {
        path.relative_to(site).as_posix() for pattern in _OWN for path in sorted(site.glob(pattern))
    }


def _state(page: Page, path: Path) -> dict[str, str]:
    """What the manifest would say of a page as it lies there."""
    return {"inputs": page.inputs, "sha256": sha256_of_file(path) if path.is_file() else ""}


def _read_manifest(site: Path) -> dict[str, dict[str, Any]]:
    """What was rendered last; nothing where the manifest is missing or of another kind."""
    try:
        content = json.loads((site / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = {}
    if not isinstance(content, dict) or content.get("format") != MANIFEST_FORMAT:
        content = {}
    parts = {name: content.get(name) for name in ("pages", "media")}
    return {name: part if isinstance(part, dict) else {} for name, part in parts.items()}


def _refuse_strange(site: Path) -> None:
    """A folder that holds something else must not lose it."""
    if site.is_dir() and any(site.iterdir()) and not (site / "index.html").is_file():
        raise LeaderboardError(
            "this folder holds something else than a site",
            where=site,
            remedy="give an empty or a new folder with --out",
        )


def _remove_others(site: Path, written: dict[str, dict[str, str]]) -> list[str]:
    gone = sorted(own_files(site) - written.keys())
    for name in gone:
        (site / name).unlink()
    return gone


def _renew_media(
    board: Board, site: Path, known: Mapping[str, Any], notify: Callable[[str], None]
) -> dict[str, str]:
    """Render what is not there as it was rendered last, and remove what no gallery needs.

    Returns
    -------
    dict of str to str
        For each file, a digest over how and as what it was made.
    """
    wanted = wanted_media(board)
    held = {path: _as_made(site / path) for path in wanted if (site / path).is_file()}
    due = [path for path in wanted if path not in held or held[path] != known.get(path)]
    for path in due:
        held.pop(path, None)
    for path, content in render_media(wanted, due, notify):
        with atomic_path(site / path) as temporary:
            temporary.write_bytes(content)
        held[path] = _as_made(site / path)
    for place in sorted((site / MEDIA).rglob("*.*")):
        if place.is_file() and place.relative_to(site).as_posix() not in held:
            place.unlink()
    return dict(sorted(held.items()))


def _as_made(path: Path) -> str:
    return sha256_of_json([makers_digest(), sha256_of_file(path)])
