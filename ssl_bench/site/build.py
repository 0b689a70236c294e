"""Building the site of a board into a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ssl_bench.errors import LeaderboardError
from ssl_bench.files import (
    atomic_path,
    files_of,
    link,
    replaced_folder,
    write_text,
)
from ssl_bench.leaderboard.board import Board
from ssl_bench.site.gallery import write_media
from ssl_bench.site.pages import site_pages

_ASSETS = Path(__file__).parent / "assets"
# The files of a site: what is no longer part of it is removed.
_OWN = (
    *("*.html", "protocols/*.html", "baselines/*.html", "entries/*/*.html", "entries/*/*.js"),
    *("downloads/*.*", "media/*.*", "assets/*.*", "assets/vendor/*.*"),
)


@dataclass(frozen=True)
class Built:
    """What a build did: pages in all, files that changed, and files that it removed."""

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
    documentation: str = "",
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
    documentation
        Where pages lead for the documentation: an address, or a path from the folder.
    notify
        Called with a short text at the start of each stage.

    Raises
    ------
    LeaderboardError
        If the folder holds something else, or is a link.
    """
    notify("rendering pages")
    pages = dict(site_pages(board, documentation=documentation))
    # A build that was interrupted may have left any of them.
    known = {"assets", "media", *(Path(path).parts[0] for path in pages)}
    held = {path.name for path in folder.iterdir()} if folder.exists() else set()
    foreign = {name for name in held - known if not name.startswith(".")}
    if folder.is_symlink() or (foreign and "index.html" not in held):
        raise LeaderboardError(
            "this folder holds something else than a site",
            code="E_SITE_FOLDER",
            where=folder,
            remedy="give an empty or a new folder with --out",
        )
    patterns = _OWN if media else tuple(each for each in _OWN if not each.startswith("media"))
    before = [path.relative_to(folder) for path in files_of(folder, patterns)]
    changed = 0
    with replaced_folder(folder, patterns) as fresh:
        for path in before:
            # What stays as it is is the same file.
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                link(folder / path, fresh / path)
        for name, text in pages.items():
            target = fresh / name
            if not target.is_file() or target.read_bytes() != text.encode("utf-8"):
                write_text(target, text)
                changed += 1
        assets = _copied_assets(fresh / "assets")
        kept = {*pages, *assets, *(write_media(board, fresh, jobs, notify) if media else ())}
        gone = [path for path in before if path.as_posix() not in kept]
        for path in gone:
            (fresh / path).unlink(missing_ok=True)
    n_pages = sum(name.endswith(".html") for name in pages)
    return Built(folder, n_pages, changed, len(gone))


def _copied_assets(folder: Path) -> list[str]:
    """Write the assets that are missing or other; returns the names of all."""
    names = []
    for source in files_of(_ASSETS, ("**/*",)):
        target = folder / source.relative_to(_ASSETS)
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
        names.append(f"assets/{source.relative_to(_ASSETS).as_posix()}")
    return names
