"""Which files the scenes are made of: two tables of Debian's packages, or folders of the user's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ssl_bench.errors import AnnotationError, DataError, Problem
from ssl_bench.files import sha256_of_json
from ssl_bench.media.image import IMAGE_SUFFIXES
from ssl_bench.schemas import Document, read_toml
from ssl_bench.testsets.tables import read_table

STAMPS = "tuxpaint-stamps-default 2022.06.04-1"
"""The package, and its version, that the table `items.csv` was made from."""

CONFIGURATION = "collage.toml"
DRAWN = "drawn"
"""Stands for backgrounds that are drawn, where no photographs are at hand."""

INSTALL = (
    "apt install tuxpaint-stamps-default mate-backgrounds lomiri-wallpapers-16.04 "
    "plasma-workspace-wallpapers"
)

Use = Literal["test", "train", "validation"]

_TABLES = Path(__file__).parent
_ITEMS, _PHOTOGRAPHS = _TABLES / "items.csv", _TABLES / "photographs.csv"
_STAMPS_FOLDER, _SHARE = Path("/usr/share/tuxpaint/stamps"), Path("/usr/share")
# How a folder of photographs is divided: of five in the order of their names.
_TURNS: tuple[Use, ...] = ("test", "train", "test", "train", "validation")
_DIGITS = 16  # of a SHA-256 in a table

_Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")]


class Item(BaseModel):
    """One line of a table of items; the digest is empty where any content will do.

    ``seen`` cut-outs and ``unseen`` ones, which stay away from training, show what can sound;
    ``sound`` lines name its recordings. Look-alikes and salient things never sound.
    """

    role: Literal["seen", "unseen", "look-alike", "salient", "sound"]
    category: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    path: Annotated[str, Field(min_length=1)]
    sha256: _Digest = ""


class Photograph(BaseModel):
    """One line of a table of photographs, and which scenes it stands behind."""

    split: Use
    package: str
    path: Annotated[str, Field(min_length=1)]
    sha256: _Digest = ""


class _Configuration(Document):
    """The folders that a user names; relative ones start at the file's own."""

    cutouts: str = str(_STAMPS_FOLDER)
    sounds: str | None = None
    photographs: str | None = None
    items: str | None = None


@dataclass(frozen=True)
class Material:
    """A file that scenes are made of."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Cutout:
    """A thing that scenes may show; what never sounds has no sounds."""

    category: str
    role: str
    file: Material


@dataclass(frozen=True)
class Sources:
    """Everything that scenes are made of, in the order of the tables."""

    cutouts: tuple[Cutout, ...]
    sounds: tuple[tuple[str, Material], ...]  # with the category that they are recordings of
    photographs: tuple[tuple[Use, Material], ...]  # none for drawn backgrounds

    @cached_property
    def digest(self) -> str:
        """SHA-256 over roles, categories and contents, whatever the folders are called."""
        return sha256_of_json(
            [
                [[each.role, each.category, each.file.digest] for each in self.cutouts],
                [[category, sound.digest] for category, sound in self.sounds],
                [[use, photograph.digest] for use, photograph in self.photographs],
            ]
        )

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """What can sound, in the order of the table."""
        return tuple(dict.fromkeys(category for category, _ in self.sounds))


def read_sources(folder: Path | None) -> Sources:
    """The sources that ``collage.toml`` in a folder names; those of the packages for None.

    Raises
    ------
    DataError
        If the file is unusable.
    AnnotationError
        With every line of a table that is wrong, and every file that is missing or differs.
    """
    named, base = _Configuration(), _SHARE
    if folder is not None:
        file, base = folder / CONFIGURATION, folder
        if file.exists():
            named = read_toml(file, _Configuration, error=DataError)
    table = _ITEMS if named.items is None else base / named.items
    cutouts = base / named.cutouts
    sounds = cutouts if named.sounds is None else base / named.sounds
    items = read_table(
        table,
        Item,
        ("role", "category", "path", "sha256"),
        remedy="see ssl_bench/testsets/collage/items.csv for an example",
        key=lambda row: row.path,
    )
    problems = _unfit(items)
    found = [
        _material(sounds if item.role == "sound" else cutouts, item.path, item.sha256, problems)
        for item in items
    ]
    photographs = _photographs(named.photographs, base, problems)
    if problems:
        raise AnnotationError(
            problems, where=cutouts if folder is None else folder, remedy=_remedy(table)
        )
    return Sources(
        tuple(
            Cutout(item.category, item.role, material)
            for item, material in zip(items, found, strict=True)
            if item.role != "sound" and material is not None
        ),
        tuple(
            (item.category, material)
            for item, material in zip(items, found, strict=True)
            if item.role == "sound" and material is not None
        ),
        tuple(photographs),
    )


def _remedy(table: Path) -> str:
    if table == _ITEMS:
        return f"install what it is made of, {STAMPS} and photographs: {INSTALL}"
    return f"correct {table.name} or {CONFIGURATION}"


def _unfit(items: Sequence[Item]) -> list[Problem]:
    """What categories lack: a sound or a cut-out."""
    heard = {item.category for item in items if item.role == "sound"}
    shown = {item.category for item in items if item.role == "seen"}
    silent = {item.category for item in items if item.role in ("look-alike", "salient")}
    capable = shown | {item.category for item in items if item.role == "unseen"}
    problems = [
        *(Problem(f"{each} has no sound", "E_COLLAGE_ITEM") for each in sorted(capable - heard)),
        *(
            Problem(f"{each} has no seen cut-out", "E_COLLAGE_ITEM")
            for each in sorted((heard | capable) - shown)
        ),
        *(
            Problem(f"{each} sounds and is silent", "E_COLLAGE_ITEM")
            for each in sorted(silent & (heard | capable))
        ),
    ]
    if len(shown) < 4:
        problems.append(Problem("fewer than four categories can sound", "E_COLLAGE_ITEM"))
    return problems


def _material(folder: Path, name: str, expected: str, problems: list[Problem]) -> Material | None:
    path = folder / name
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]
    except OSError:
        problems.append(Problem(f"{name} is missing", "E_FILE_MISSING"))
        return None
    if expected not in ("", digest):
        problems.append(
            Problem(f"{name} differs: its digest is {digest}, not {expected}", "E_COLLAGE_VERSION")
        )
    return Material(path, digest)


def _photographs(
    named: str | None, base: Path, problems: list[Problem]
) -> list[tuple[Use, Material]]:
    """Photographs and which scenes they stand behind; none where they are to be drawn."""
    if named == DRAWN:
        return []
    if named is None:
        rows = read_table(
            _PHOTOGRAPHS,
            Photograph,
            ("split", "package", "path", "sha256"),
            remedy="",
            key=lambda row: row.path,
        )
        listed = [(row.split, _material(_SHARE, row.path, row.sha256, problems)) for row in rows]
    else:
        folder = base / named
        names = sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.suffix.lower() in IMAGE_SUFFIXES
        )
        if len(names) < len(_TURNS):
            text = f"{named} has {len(names)} pictures, and {len(_TURNS)} are needed"
            problems.append(Problem(text, "E_COLLAGE_PHOTOGRAPHS"))
        listed = [
            (_TURNS[number % len(_TURNS)], _material(folder, name, "", problems))
            for number, name in enumerate(names)
        ]
    return [(use, material) for use, material in listed if material is not None]
