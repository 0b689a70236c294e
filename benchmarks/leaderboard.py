"""How long a leaderboard takes: checking it, building its pages, and opening a long one.

Entries are invented: smooth noise on an annotation like that of VGG-SS, under the real protocol.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from common import invent_maps, invent_vggss, print_rows, seconds_of, spread, write_predictions

from ssl_bench.leaderboard.assess import Bench, open_bench
from ssl_bench.leaderboard.card import TEMPLATE, SubmissionCard
from ssl_bench.leaderboard.check import Checked, CheckOptions, check_board, check_entry
from ssl_bench.leaderboard.documents import entry_bytes, read_card, read_entry
from ssl_bench.leaderboard.entry import Replicates
from ssl_bench.leaderboard.places import entry_path
from ssl_bench.leaderboard.submit import prepare, write_submission
from ssl_bench.site.build import Built, build_site
from ssl_bench.site.check import check_site

_WANTED = "the aim is 120 s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=50, help="entries on the board")
    parser.add_argument("--trials", type=int, default=5158, help="maps of each entry")
    parser.add_argument("--side", type=int, default=12, help="height and width of a map")
    parser.add_argument("--rows", type=int, default=500, help="rows of the long page; 0 for none")
    parser.add_argument("--jobs", type=int, default=2, help="processes of the check")
    parser.add_argument("--repeats", type=int, default=5, help="times that the page is opened")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ssl-bench-") as scratch:
        folder = Path(scratch)
        data = invent_vggss(folder / "data", options.trials)
        bench = open_bench("vggss", data)
        root = folder / "board"
        one = invent_entries(root, folder, bench, options.entries, options.side)
        measure_board(root, data, options.jobs, options.entries, one)
        if options.rows:
            long = folder / "long"
            multiply(root, long, bench, options.rows)
            measure_page(long, options.rows, options.repeats)


def invent_entries(root: Path, scratch: Path, bench: Bench, count: int, side: int) -> float:
    """Write entries of noise; returns the seconds that one of them took."""
    template = scratch / "card.toml"
    template.write_text(TEMPLATE)
    card = read_card(template)
    seconds = []
    for number in range(count):
        maps = invent_maps(len(bench.trials), side, seed=number)
        path = scratch / "maps.npz"
        write_predictions(path, bench.trials, maps)
        named = card_of(card, number)
        started = perf_counter()
        write_submission(root, prepare(root, bench, path, named))
        seconds.append(perf_counter() - started)
    return float(np.median(seconds))


def card_of(card: SubmissionCard, number: int) -> SubmissionCard:
    """The template's card under another name."""
    return card.model_copy(update={"slug": f"model-{number:04d}", "name": f"Model {number}"})


def measure_board(root: Path, data: Path, jobs: int, count: int, one: float) -> None:
    found: list[Checked] = []
    built: list[Built] = []
    options = CheckOptions(data=data, jobs=jobs, allowed=("site",))
    checking = seconds_of(lambda: found.append(check_board(root, options)))
    if not found[0].proven or len(found[0].entries) != count:
        raise SystemExit(f"the board is not right: {[str(each) for each in found[0].findings[:3]]}")
    first = entry_path("vggss", "model-0000")
    alone = CheckOptions(data=data)
    # The first of a process also computes floors and ceiling, which the others share.
    check_entry(root, first, alone)
    each = seconds_of(lambda: check_entry(root, first, alone), process_time)
    building = seconds_of(lambda: built.append(build_site(root)))
    nothing = seconds_of(lambda: built.append(build_site(root)))
    change_summary(root)
    changed = seconds_of(lambda: built.append(build_site(root)))
    comparing = seconds_of(lambda: check_site(root))
    if built[1].rendered or check_site(root):
        raise SystemExit("the site is not what was built")
    print_rows(
        f"A board of {count} entries, {jobs} processes",
        [
            ("entering one entry", f"{one:.2f} s"),
            ("checking all entries", f"{checking:.1f} s, {checking / count:.2f} s each"),
            ("processor seconds of one entry", f"{each:.2f}"),
            ("checking all on idle cores", f"about {count * each / jobs:.0f} s"),
            ("building all pages", f"{building:.1f} s for {len(built[0].rendered)} files"),
            ("check and build together", f"{checking + building:.1f} s; {_WANTED}"),
            ("building when nothing changed", f"{nothing:.1f} s, {nothing / building:.2f} of all"),
            (
                "building when one entry changed",
                f"{changed:.1f} s, {len(built[2].rendered)} files rendered",
            ),
            ("comparing all pages", f"{comparing:.1f} s"),
        ],
    )


def change_summary(root: Path) -> None:
    """Change what one entry says of itself, and none of its numbers."""
    path = root / entry_path("vggss", "model-0000")
    entry = read_entry(path)
    card = entry.card.model_copy(update={"summary": "Another summary."})
    path.write_bytes(entry_bytes(entry.model_copy(update={"card": card})))


def multiply(root: Path, target: Path, bench: Bench, rows: int) -> None:
    """A board of as many entries as wanted, whose values are shifted copies of those there are."""
    folder = root / "entries" / bench.folder
    known = [read_entry(path) for path in sorted(folder.glob("*.json"))]
    generator = np.random.default_rng(0)
    (target / "entries" / bench.folder).mkdir(parents=True)
    for number in range(rows):
        entry = known[number % len(known)]
        card = card_of(entry.card, number)
        shift = float(generator.uniform(0, 0.3))
        first = entry.headline
        moved = first.model_copy(update={"value": (first.value or 0.0) + shift})
        result = entry.result.model_copy(update={"measures": (moved, *entry.result.measures[1:])})
        drawn = entry.evidence.replicates
        copies = (Replicates.of(drawn[0].measure, drawn[0].array() + shift), *drawn[1:])
        evidence = entry.evidence.model_copy(update={"replicates": copies})
        made = entry.model_copy(
            update={"slug": card.slug, "card": card, "result": result, "evidence": evidence}
        )
        (target / entry_path(bench.folder, card.slug)).write_bytes(entry_bytes(made))


def measure_page(root: Path, rows: int, repeats: int) -> None:
    """Open the page of a protocol in Chromium: until its table can be sorted."""
    from playwright.sync_api import sync_playwright

    building = seconds_of(lambda: build_site(root))
    page_file = root / "site" / "protocols" / "vggss.html"
    opened, worked = [], []
    with sync_playwright() as started:
        path = shutil.which("chromium") or started.chromium.executable_path
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(repeats):
            page = browser.new_page()
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            begun = perf_counter()
            page.goto(page_file.as_uri())
            page.wait_for_selector("#filters:not([hidden])")
            opened.append(perf_counter() - begun)
            metrics = session.send("Performance.getMetrics")["metrics"]
            worked.append({each["name"]: each["value"] for each in metrics}["TaskDuration"])
            page.close()
        browser.close()
    print_rows(
        f"A protocol of {rows} entries",
        [
            ("building its pages", f"{building:.1f} s"),
            ("size of the page", f"{page_file.stat().st_size / 1e6:.2f} MB"),
            ("opening it", f"{spread(opened, ' s')}; the aim is 1 s"),
            ("processor seconds of the page", spread(worked, " s")),
        ],
    )


if __name__ == "__main__":
    main()
