"""A built site in a real browser that reports every error and every request.

Screenshots go to the folder that ``SSL_BENCH_SCREENSHOTS`` names, else to a temporary one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boards import make_board
from browsers import DESKTOP
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from ssl_bench.leaderboard.assess import open_bench
from ssl_bench.leaderboard.board import read_board
from ssl_bench.site.build import build_site

Opener = Callable[..., Page]

LEFT = "net::ERR_ABORTED"

# The machine may do something else beside; nothing here asserts how long a page takes.
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with all that a browser needs."""
    scratch = tmp_path_factory.mktemp("scratch")
    root = make_board(tmp_path_factory.mktemp("board"), scratch, open_bench("synth"))
    return build_site(read_board(root), root / "site").folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: the system's, else the one that playwright installed."""
    with sync_playwright() as started:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
        path = found or started.chromium.executable_path
        if not Path(path).is_file():
            pytest.fail("there is no Chromium: install the package chromium")
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser, site: Path) -> Iterator[Opener]:
    """Open a page of the site; afterwards, nothing may have gone wrong in any."""
    contexts = []
    troubles: list[str] = []

    def watch(page: Page) -> None:
        page.on("console", lambda message: troubles.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        page.on("requestfailed", failed)
        page.on("request", lambda request: asked(request.url))

    def failed(request: Request) -> None:
        # Whoever leaves a page before it is there stops its requests.
        if request.failure != LEFT:
            troubles.append(f"failed: {request.url} ({request.failure})")

    def asked(url: str) -> None:
        if not url.startswith((f"{site.as_uri()}/", "data:")):
            troubles.append(f"request: {url}")

    def opened(path: str, size: dict[str, int] = DESKTOP, **settings: Any) -> Page:
        context = browser.new_context(viewport=size, **settings)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        watch(page)
        page.goto(f"{site.as_uri()}/{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Page, str], None]:
    """Keep a screenshot under a name."""
    given = os.environ.get("SSL_BENCH_SCREENSHOTS")
    folder = Path(given) if given else tmp_path

    def write(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return write
