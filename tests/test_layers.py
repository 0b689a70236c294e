"""Imports inside the package run one way, through five layers on a common base.

A module may import from its own layer and from those below it. Inside a layer, packages do not
import each other in a circle, and neither do modules anywhere.

An import counts wherever it stands: at the top of a file, inside a function, under
``TYPE_CHECKING``, or as text for ``importlib`` (``"ssl_bench.models.registry:load_card"``).
"""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from architecture import (
    LAYERS,
    PACKAGE,
    Import,
    arrows,
    chart,
    imports,
    package_of,
    picture,
    shown,
    sources,
)


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
def test_an_import_that_climbs_is_named_with_its_file(line: str, tmp_path: Path) -> None:
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
    found = climbing(imports(package))
    assert len(found) == 1
    assert re.fullmatch(
        r".*/ssl_bench/errors\.py:\d+ imports ssl_bench\.models(\.contract)?", found[0]
    )


def test_contributing_shows_the_structure_as_it_is() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    printed = re.search(r"```mermaid\n(.*?)\n```", text, re.DOTALL)
    assert printed is not None
    assert printed[1] == chart(), "renew it: python docs/architecture.py"


def test_the_picture_shows_every_package_and_every_arrow() -> None:
    drawn = picture()
    assert drawn.count("<path d=") - 1 == len(arrows())
    assert all(f">{name}</text>" in drawn for names in shown().values() for name in names)
