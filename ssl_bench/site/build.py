"""Building the site of a board into a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ssl_bench.errors import LeaderboardError
from ssl_bench.files import write_text
from ssl_bench.leaderboard.board import Board
from ssl_bench.site.gallery import write_media
from ssl_bench.site.pages import site_pages

_ASSETS = Path(__file__).parent / "assets"
# What a build may remove where it is no longer part of the site.
_OWN = ("*.html", "protocols/*.html", "baselines/*.html", "entries/*/*.html", "media/*.*")


@dataclass(frozen=True)
class Built:
    """What a build did: pages in all, those that changed, and files that it removed."""

    folder: Path
    n_pages: int
    n_changed: int
    n_removed: int


def build_site(
    board: Board,
    folder: Path,
    *,
    media: bool = True,
    jobs: int = 1,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Built:
    """Build the site of a board.

    Parameters
    ----------
    board
        Without faults.
    folder
        Folder of the site.
    media
        Whether pictures and sounds are rendered.
    jobs
        Processes that render them.
    notify
        Called with a short text at the start of each stage.

    Raises
    ------
    LeaderboardError
        If the folder holds something else, or is a link.
    """
    is_site = not folder.exists() or (folder / "index.html").is_file() or not any(folder.iterdir())
    if folder.is_symlink() or not is_site:
        raise LeaderboardError(
            "this folder holds something else than a site",
            code="E_SITE_FOLDER",
            where=folder,
            remedy="give an empty or a new folder with --out",
        )
    notify("rendering pages")
    pages = dict(site_pages(board))
    changed = 0
    for path, text in pages.items():
        target = folder / path
        if not target.is_file() or target.read_bytes() != text.encode("utf-8"):
            write_text(target, text)
            changed += 1
    shutil.copytree(_ASSETS, folder / "assets", dirs_exist_ok=True)
    kept = pages.keys() | (write_media(board, folder, jobs, notify) if media else set())
    patterns = _OWN if media else _OWN[:-1]
    gone = [
        file
        for pattern in patterns
        for file in folder.glob(pattern)
        if file.relative_to(folder).as_posix() not in kept
    ]
    for file in gone:
        file.unlink()
    return Built(folder, len(pages), changed, len(gone))
