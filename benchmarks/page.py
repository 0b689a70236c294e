"""How soon a protocol page of many rows can be used, beside the same page as it is.

Run ``ssl-bench leaderboard build``, then ``python benchmarks/page.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from common import print_rows, spread
from playwright.sync_api import Browser, sync_playwright

from ssl_bench.leaderboard.submissions import default_board

ROWS = re.compile(r"(data-table=\"measured\")(.*?<tbody>)(.*?)(</tbody>)", re.DOTALL)
READY = "() => !document.getElementById('filters').hidden"
MILLISECONDS = "() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def with_rows(page: str, count: int) -> str:
    """The page with its rows again and again, until there are so many."""
    found = ROWS.search(page)
    if found is None:
        sys.exit("this page has no table of entries")
    rows = re.findall(r"<tr.*?</tr>", found[3], re.DOTALL)
    body = "\n".join((rows * (count // len(rows) + 1))[:count])
    head = f"{found[1]} data-long{found[2]}"
    return page[: found.start()] + head + body + found[4] + page[found.end() :]


def seconds_until_ready(browser: Browser, page: Path) -> float:
    """Until all scripts are done: rows can be read, sorted, filtered and searched."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.goto(page.as_uri())
    opened.wait_for_function(READY)
    spent = float(opened.evaluate(MILLISECONDS)) / 1000
    context.close()
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=default_board() / "site")
    parser.add_argument("--page", default="protocols/concat.html")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    if not (given.site / given.page).is_file():
        sys.exit(f"{given.site / given.page} is missing: run ssl-bench leaderboard build")
    with tempfile.TemporaryDirectory(prefix="ssl-bench-") as scratch, sync_playwright() as started:
        site = Path(scratch)
        shutil.copytree(given.site / "assets", site / "assets")
        own, many = site / given.page, site / "protocols" / "many.html"
        own.parent.mkdir(exist_ok=True)
        shutil.copy(given.site / given.page, own)
        many.write_text(with_rows(own.read_text(encoding="utf-8"), given.rows), encoding="utf-8")
        path = shutil.which("chromium") or started.chromium.executable_path
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        runs = [
            [seconds_until_ready(browser, page) for page in (own, many)]
            for _ in range(given.repeats)
        ]
        browser.close()
        kilobytes = many.stat().st_size / 1000
    print_rows(
        f"{given.page} with {given.rows} rows ({kilobytes:,.0f} kB), from disk",
        [
            ("the page as it is, seconds", spread([few for few, _ in runs])),
            ("with so many rows, seconds", spread([many for _, many in runs])),
            ("ratio", spread([many / few for few, many in runs], " x")),
        ],
    )


if __name__ == "__main__":
    main()
