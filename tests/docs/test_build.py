"""The documentation builds without warnings, its tutorials run, and its pages fetch nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from contents import DOCS, listed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DOCS.is_dir(), reason="it is part of a checkout"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("myst_nb", reason="it needs the extra docs")
    folder = tmp_path_factory.mktemp("documentation")
    build = ("-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", folder / "doctrees")
    settings = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(
        [sys.executable, *map(str, build), str(DOCS), str(folder / "site")],
        env=settings,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_every_page_is_built_and_found_by_the_search(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    for name in listed():
        assert (site / f"{name}.html").is_file(), name
        assert f'"{name}"' in index, name


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|iframe|source)[^>]* src=\"(\w+:)?//|<link[^>]* href=\"https?:"
    )
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        found = loads.search(re.sub(r'<link rel="canonical"[^>]*>', "", text))
        assert found is None, f"{page.name}: {found and found[0]}"


def test_tutorials_show_what_came_out(site: Path) -> None:
    for name in (each for each in listed() if each.startswith("tutorials/")):
        text = (site / f"{name}.html").read_text(encoding="utf-8")
        assert "cell_output" in text, name
        assert "Traceback" not in text, name
    assert "hearing adds" in (site / "tutorials" / "first-score.html").read_text(encoding="utf-8")
