"""Imports inside the package run one way, through five layers on a common base.

A module may import from its own layer and from those below it. Inside a layer, packages do not
import each other in a circle, and neither do modules anywhere.

An import counts wherever it stands: at the top of a file, inside a function, under
``TYPE_CHECKING``, or as text for ``importlib`` (``"ssl_bench.models.registry:load_card"``).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parent.parent / "ssl_bench"

LAYERS: dict[str, tuple[str, ...]] = {
    "faces": (
        "ssl_bench",
        "__main__",
        "library",
        "cli",
        "site",
        "leaderboard",
        "interchange",
        "figures",
    ),
    "analysis": ("analysis", "engine"),
    "models": ("training", "models"),
    "scoring": ("scoring", "measures", "statistics"),
    "data": ("trials", "testsets", "predictions", "media", "protocols"),
    "base": (
        *("environment", "schemas", "executors", "progress"),
        *(
            "arguments",
            "displays",
            "panels",
            "plots",
            "files",
            "arrays",
            "packed",
            "extras",
            "errors",
        ),
    ),
}

MODULE_AS_TEXT = re.compile(r"(ssl_bench(?:\.\w+)+)(?::\w+)?")


class Import(NamedTuple):
    """One import of a module of this package, and where it stands."""

    importer: str
    imported: str
    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE.parent)}:{self.line} imports {self.imported}"


def module_name(path: Path, package: Path) -> str:
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


def layer(module: str) -> int:
    """Number of a module's layer, 0 for the top."""
    name = package_of(module)
    numbers = [n for n, packages in enumerate(LAYERS.values()) if name in packages]
    assert numbers, f"{module} is in no layer: name it in LAYERS"
    return numbers[0]


def climbing(found: list[Import]) -> list[str]:
    return [str(each) for each in found if layer(each.imported) < layer(each.importer)]


def test_every_import_runs_downwards() -> None:
    assert climbing(imports(PACKAGE)) == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for each in imports(PACKAGE):
        graph.setdefault(each.importer, set()).add(each.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(reversed(error.args[1]))}")


def test_packages_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for each in imports(PACKAGE):
        if package_of(each.importer) != package_of(each.imported):
            graph.setdefault(package_of(each.importer), set()).add(package_of(each.imported))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(reversed(error.args[1]))}")


def test_every_package_is_in_one_layer() -> None:
    listed = [name for packages in LAYERS.values() for name in packages]
    assert sorted(listed) == sorted({package_of(module) for module in sources(PACKAGE)})


@pytest.mark.parametrize(
    "line",
    [
        "import ssl_bench.models.contract",
        "from ssl_bench.models import contract",
        "from ssl_bench.models.contract import Localizer",
        "from .models.contract import Localizer",
        "from . import models",
        "def late() -> None:\n    from ssl_bench.models.contract import Localizer",
        "if TYPE_CHECKING:\n    from ssl_bench.models.contract import Localizer",
        "importlib.import_module('ssl_bench.models.contract')",
        "HOME = 'ssl_bench.models.contract:Localizer'",
    ],
)
def test_an_import_that_climbs_is_named_with_its_file(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ssl_bench"
    for name, text in (
        ("__init__.py", ""),
        ("models/__init__.py", ""),
        ("models/contract.py", "Localizer = object"),
        ("errors.py", f"\n{line}\n"),
    ):
        path = package / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setitem(globals(), "PACKAGE", package)
    found = climbing(imports(package))
    assert len(found) == 1
    assert re.fullmatch(
        r"ssl_bench/errors\.py:\d+ imports ssl_bench\.models(\.contract)?", found[0]
    )


def drawing() -> str:
    """The layers and what their packages import, as a Mermaid chart.

    An arrow is left out where a longer way of arrows says it already; the base, which everything
    imports, has none.
    """
    base = set(LAYERS["base"])
    below: dict[str, set[str]] = {name: set() for packages in LAYERS.values() for name in packages}
    for each in imports(PACKAGE):
        importer, imported = package_of(each.importer), package_of(each.imported)
        if (
            importer != imported
            and imported not in base
            and importer not in {"ssl_bench", "__main__", *base}
        ):
            below[importer].add(imported)

    def reached(name: str) -> set[str]:
        return below[name].union(*(reached(each) for each in below[name]))

    lines = ["flowchart TD"]
    for title, packages in LAYERS.items():
        inner = [name for name in packages if name not in {"ssl_bench", "__main__"}]
        lines += [
            f"  subgraph {title}-layer [{title}]",
            *(f"    {name}" for name in inner),
            "  end",
        ]
    for name in below:
        further = set().union(*(reached(each) for each in below[name]))
        lines += [f"  {name} --> {each}" for each in sorted(below[name] - further)]
    return "\n".join(lines)


def test_contributing_shows_the_structure_as_it_is() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.search(r"```mermaid\n(.*?)\n```", text, re.DOTALL)
    assert shown is not None
    assert shown[1] == drawing(), "renew it: python tests/test_layers.py"


if __name__ == "__main__":
    sys.stdout.write(drawing() + "\n")
