"""``ssl-bench cache``: what is kept to save time, how much of it, and removing it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from ssl_bench.cli.config import command
from ssl_bench.cli.options import json_option
from ssl_bench.cli.terminal import plain_table, show
from ssl_bench.files import cache_folder

# What lies in the cache folder, by the name of its file or folder. Weights that were fetched are
# not among them: nothing makes them again.
_KINDS = {
    "parts": "finished parts of runs that were interrupted",
    "priors": "maps of audio-blind baselines (priors)",
    "scores": "scores of priors, trivial maps and ceilings",
    "leaderboard": "assessments of entries",
    "synth": "images and sounds of the embedded world",
    "collage": "images and sounds of the test set collage",
    "trunk-maps": "what frozen image trunks make of pictures to train on",
    "media.sqlite": "which images and sounds were found usable",
    "numba": "compiled code",
}
_DAY = 24 * 60 * 60.0
_MB = 10**6


@command()
@click.option(
    "--clear",
    "cleared",
    type=click.Choice([*_KINDS, "all"]),
    multiple=True,
    help="Remove this kind; may be repeated. Parts of a run that is going on stay.",
)
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(0),
    metavar="DAYS",
    help="Only what was written at least so many days ago.",
)
@json_option
def cache(cleared: tuple[str, ...], days: float | None, as_json: bool) -> None:
    """Show what is kept in the cache folder, and remove it.

    All of it is made again when it is needed, which takes time and changes no result.
    """
    folder = cache_folder()
    latest = None if days is None else time.time() - days * _DAY
    kinds = {}
    for kind in _KINDS:
        found = list(_kept(folder / kind, latest))
        kinds[kind] = {"files": len(found), "bytes": sum(size for _, size in found)}
        if kind in cleared or "all" in cleared:
            _remove(folder / kind, [path for path, _ in found])
            kinds[kind]["left"] = len(list(_kept(folder / kind, latest)))
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("cache", {"folder": str(folder), "kinds": kinds})
        return
    rows = [
        (kind, f"{each['files']:,}", f"{each['bytes'] / _MB:,.1f}", _KINDS[kind])
        for kind, each in kinds.items()
    ]
    show(plain_table(str(folder), ("kind", "files", "MB", "what it is"), rows, texts=(0, 3)))
    for kind, each in kinds.items():
        if "left" in each:
            show(f"{kind}: {each['files'] - each['left']:,} files removed")


def _kept(place: Path, latest: float | None) -> Iterator[tuple[Path, int]]:
    """Files of a kind, written at that time at the latest, with their sizes."""
    for path in [place, *place.rglob("*")]:
        # Another process may remove it.
        with suppress(OSError):
            about = path.lstat()
            if not path.is_dir() and (latest is None or about.st_mtime <= latest):
                yield path, about.st_size


def _remove(place: Path, files: list[Path]) -> None:
    """Remove files of a kind, and folders that they leave empty."""
    if place.name == "parts":
        from ssl_bench.engine.parts import discard

        # Those of one run are removed together, or not at all.
        of_run = {file.relative_to(place).parts[0] for file in files if file != place}
        for name in of_run:
            if {path for path, _ in _kept(place / name, None)} <= set(files):
                discard(place / name)
        return
    for file in files:
        with suppress(OSError):
            file.unlink()
    for folder in sorted({parent for file in files for parent in file.parents}, reverse=True):
        if folder.is_relative_to(place):
            with suppress(OSError):
                folder.rmdir()
