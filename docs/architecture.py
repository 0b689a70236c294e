"""Which package of ssl_bench imports which, read from the code, and two drawings of it.

``python docs/architecture.py`` prints the chart that CONTRIBUTING.md shows; the documentation shows
the same as a picture.

An import counts wherever it stands: at the top of a file, inside a function, under
``TYPE_CHECKING``, or as text for ``importlib`` (``"ssl_bench.models.registry:load_card"``).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent / "ssl_bench"

LAYERS: dict[str, tuple[str, ...]] = {
    "faces": (
        *("ssl_bench", "__main__", "library", "cli", "site"),
        *("leaderboard", "interchange", "figures", "reproduction"),
    ),
    "analysis": ("analysis", "engine"),
    "models": ("training", "models"),
    "scoring": ("scoring", "measures", "statistics"),
    "data": ("trials", "testsets", "predictions", "media", "protocols"),
    "base": (
        *("environment", "schemas", "executors", "progress", "arguments", "displays", "panels"),
        *("plots", "files", "arrays", "packed", "compiled", "extras", "errors"),
    ),
}

ENTRANCES = ("ssl_bench", "__main__")
"""Loose modules that only lead to others, which drawings leave out."""

MODULE_AS_TEXT = re.compile(r"(ssl_bench(?:\.\w+)+)(?::\w+)?")


class Import(NamedTuple):
    """One import of a module of this package, and where it stands."""

    importer: str
    imported: str
    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.imported}"


def module_name(path: Path, package: Path) -> str:
    """The dotted name of a source file of a package."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(package: Path) -> dict[str, Path]:
    """Every source file of a package, by the name of its module."""
    return {module_name(path, package): path for path in sorted(package.rglob("*.py"))}


def imported_modules(
    node: ast.AST, importer: str, is_package: bool, known: Collection[str]
) -> Iterator[str]:
    """Modules among `known` that one node of a syntax tree imports."""
    named: list[str] = []
    if isinstance(node, ast.Import):
        named = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        origin = node.module or ""
        if node.level:
            above = importer.split(".")[: 1 - node.level or None]
            parts = above if is_package else above[:-1]
            origin = ".".join([*parts, origin]) if origin else ".".join(parts)
        # `from a import b`: b is a module, or a name that the module a holds.
        inner = [f"{origin}.{alias.name}" for alias in node.names]
        named = [name if name in known else origin for name in inner]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        match = MODULE_AS_TEXT.fullmatch(node.value)
        named = [match[1]] if match else []
    return (name for name in named if name in known)


@cache
def imports(package: Path) -> list[Import]:
    """Every import between modules of a package."""
    files = sources(package)
    return [
        Import(importer, imported, path, getattr(node, "lineno", 0))
        for importer, path in files.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for imported in imported_modules(node, importer, path.name == "__init__.py", files)
        if imported != importer
    ]


def package_of(module: str) -> str:
    """The package, or loose module, of `ssl_bench` that a module belongs to."""
    return module.removeprefix("ssl_bench").removeprefix(".").split(".")[0] or "ssl_bench"


def arrows(package: Path = PACKAGE) -> list[tuple[str, str]]:
    """Which package imports which, without what a longer way of arrows says already.

    The base, which everything imports, has no arrows.
    """
    base = set(LAYERS["base"])
    below: dict[str, set[str]] = {name: set() for packages in LAYERS.values() for name in packages}
    for each in imports(package):
        importer, imported = package_of(each.importer), package_of(each.imported)
        if importer != imported and imported not in base and importer not in {*ENTRANCES, *base}:
            below[importer].add(imported)

    def reached(name: str) -> set[str]:
        return below[name].union(*(reached(each) for each in below[name]))

    return [
        (name, each)
        for name, direct in below.items()
        for each in sorted(direct - set().union(*(reached(one) for one in direct)))
    ]


def shown() -> dict[str, list[str]]:
    """The packages of each layer that a drawing shows."""
    return {
        title: [name for name in packages if name not in ENTRANCES]
        for title, packages in LAYERS.items()
    }


def chart() -> str:
    """The layers and what their packages import, as a Mermaid chart."""
    lines = ["flowchart TD"]
    for title, packages in shown().items():
        inner = (f"    {name}" for name in packages)
        lines += [f"  subgraph {title}-layer [{title}]", *inner, "  end"]
    return "\n".join([*lines, *(f"  {one} --> {other}" for one, other in arrows())])


WIDTH, BOX, HIGH, GAP, LABEL = 860, 112, 30, 34, 90

ACROSS = {
    "library": 0.47,
    "cli": 0.68,
    "interchange": 0.88,
    "analysis": 0.35,
    "engine": 0.35,
    "training": 0.8,
    "models": 0.35,
    "scoring": 0.55,
    "measures": 0.3,
    "statistics": 0.8,
    "trials": 0.6,
    "testsets": 0.4,
    "protocols": 0.12,
    "media": 0.6,
}
"""Where a box stands, as a share of the width, so that no arrow runs behind another box."""


def levels(packages: list[str], found: list[tuple[str, str]]) -> list[list[str]]:
    """The packages of a layer in rows, so that every arrow inside it runs downwards."""
    depth = dict.fromkeys(packages, 0)
    for _ in packages:
        for one, other in found:
            if one in depth and other in depth:
                depth[other] = max(depth[other], depth[one] + 1)
    return [
        [name for name in packages if depth[name] == row] for row in range(max(depth.values()) + 1)
    ]


def picture() -> str:
    """The same as :func:`chart`, as an SVG in the colour of the text around it."""
    found = arrows()
    places: dict[str, tuple[float, float]] = {}
    parts: list[str] = []
    top = 8.0
    for title, packages in shown().items():
        rows = (
            [packages[start : start + 5] for start in range(0, len(packages), 5)]
            if title == "base"
            else levels(packages, found)
        )
        height = len(rows) * (HIGH + GAP) - GAP + 28
        parts.append(
            f'<rect x="2" y="{top:g}" width="{WIDTH - 4}" height="{height}" rx="8" '
            'fill="currentColor" fill-opacity="0.05" stroke="none"/>'
            f'<text x="16" y="{top + height / 2 + 5:g}" font-weight="bold">{title}</text>'
        )
        for number, row in enumerate(rows):
            y = top + 14 + number * (HIGH + GAP)
            for place, name in enumerate(row):
                share = ACROSS.get(name, (place + 0.5) / len(row))
                places[name] = (LABEL + (WIDTH - LABEL) * share, y)
        top += height + 26
    for one, other in found:
        (x0, y0), (x1, y1) = places[one], places[other]
        y0 += HIGH
        bend = (y1 - y0) / 2
        parts.append(
            f'<path d="M{x0:.0f} {y0:.0f} C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} '
            f'{x1:.0f} {y1 - 3:.0f}" fill="none" stroke="currentColor" stroke-opacity="0.55" '
            'marker-end="url(#tip)"/>'
        )
    for name, (x, y) in places.items():
        parts.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{y:.0f}" width="{BOX}" height="{HIGH}" rx="5" '
            'fill="var(--color-background-primary, white)" stroke="currentColor"/>'
            f'<text x="{x:.0f}" y="{y + 20:.0f}" text-anchor="middle">{name}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top - 18:g}" '
        'font-family="sans-serif" font-size="14" fill="currentColor" role="img">'
        "<title>Packages of ssl_bench in their layers, with arrows for what imports what</title>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
        + "".join(parts)
        + "</svg>"
    )


if __name__ == "__main__":
    sys.stdout.write(chart() + "\n")
