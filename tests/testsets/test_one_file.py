"""Adding a test set: one module, and nothing else; a bad number in its table is our error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from refusals import refused

from ssl_bench import testsets
from ssl_bench.cli.main import commands
from ssl_bench.errors import AnnotationError
from ssl_bench.testsets import definition, definitions, open_test_set
from ssl_bench.testsets.truth import render

MODULE = '''"""Invented clips with one relative box each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel

from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import Sample
from ssl_bench.testsets.folder import Contents, FolderDefinition
from ssl_bench.testsets.identifiers import Id
from ssl_bench.testsets.tables import Category, Finite, read_table

COLUMNS = ("id", "category", "x0", "y0", "x1", "y1")


class Row(BaseModel):
    id: Id
    category: Category
    x0: Finite
    y0: Finite
    x1: Finite
    y1: Finite


class Invented(FolderDefinition):
    name = "invented"
    title = "Invented"
    annotation = "boxes.csv"
    description = "DATA/invented/boxes.csv: id,category,x0,y0,x1,y1"

    def read(self, folder: Path, split: str) -> Contents:
        path = folder / self.annotation
        rows = read_table(path, Row, COLUMNS, remedy=self.remedy, key=lambda row: row.id)
        return Contents(
            [
                Sample(
                    row.id,
                    row.id,
                    row.category,
                    Boxes(np.array([[row.x0, row.y0, row.x1, row.y1]])),
                )
                for row in rows
            ]
        )


TEST_SET = Invented()
'''
HEADER = "id,category,x0,y0,x1,y1\n"


@pytest.fixture
def data(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_media: Callable[[Path, list[str]], None],
) -> Iterator[Path]:
    """A data folder, and a package of test sets with one more module."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "invented.py").write_text(MODULE)
    monkeypatch.setattr(
        testsets, "__path__", [*testsets.__path__, str(tmp_path / "modules")], raising=True
    )
    definitions.cache_clear()
    folder = tmp_path / "data" / "invented"
    folder.mkdir(parents=True)
    (folder / "boxes.csv").write_text(HEADER + "a,dog,0,0,0.5,1\nb,cat,0,0,1,0.25\n")
    write_media(folder, ["a", "b"])
    yield folder.parent
    sys.modules.pop("ssl_bench.testsets.invented", None)
    vars(testsets).pop("invented", None)
    definitions.cache_clear()


def test_it_opens_and_renders(data: Path) -> None:
    test_set = open_test_set("invented", data=data)
    assert [sample.id for sample in test_set.samples] == ["a", "b"]
    areas = [render(one.annotation, "union", 224, 224).mean() for one in test_set.samples]
    np.testing.assert_array_equal(areas, [0.5, 0.25])
    assert test_set.image("a").shape == (30, 40, 3)


def test_it_is_described_and_verified(data: Path) -> None:
    shown = CliRunner().invoke(commands, ["data", "layout", "invented"])
    assert shown.output.startswith("DATA/invented/boxes.csv: id,category,x0,y0,x1,y1\n")
    assert "videos/" in shown.output
    findings = definition("invented").verify(data / "invented")
    assert [each.message for each in findings if each.level not in ("note", "ok")] == []
    assert sum(each.level == "ok" for each in findings) == 2
    assert findings[0].message.startswith("2 samples; ")


def test_it_is_evaluated(data: Path, tmp_path: Path) -> None:
    command = ["evaluate", "--model", "center", "--protocol", "vggss@invented"]
    done = CliRunner().invoke(
        commands, [*command, "--data", str(data), "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("number", ["zz", "", "1,5", "nan", "inf", "0x10"])
def test_a_bad_number_is_refused_with_file_line_and_field(data: Path, number: str) -> None:
    path = data / "invented" / "boxes.csv"
    path.write_text(HEADER + f'a,dog,0,0,"{number}",1\nb,cat,0,0,1,1\n')
    with refused("E_SCHEMA", where="boxes.csv") as caught:
        open_test_set("invented", data=data)
    assert isinstance(caught.value, AnnotationError)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("line 2 ('a'): x1: ")
    assert definition("invented").verify(data / "invented")[0].level == "corrupt"
