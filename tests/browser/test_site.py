"""What a reader does with the pages, in a real browser, from files alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from boards import HOSTILE
from browsers import DESKTOP, PHONE
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Keep = Callable[[Page, str], None]

EVERY_KIND = (
    "index.html",
    "protocols/synth.html",
    "protocols/vggss.html",
    "entries/synth/my-model.html",
    "baselines/ezvsl.html",
    "measures.html",
    "dialects.html",
    "reported.html",
    "reproduced.html",
)


NAMES = ["Image centre", "Whole image", HOSTILE[:80]]


def expect_entries(page: Page, names: list[str]) -> None:
    """Wait until these measured entries are shown, from the top down: tables are drawn later."""
    rows = page.locator("table[data-table=measured] tbody tr th[scope=row] bdi")
    expect(rows).to_have_text(names)


@pytest.mark.parametrize("path", EVERY_KIND)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_fits_its_window_and_nothing_goes_wrong(
    visit: Visit, keep: Keep, path: str, size: dict[str, int], theme: str
) -> None:
    page = visit(path, size, color_scheme=theme)
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
    name = path.removesuffix(".html").replace("/", "-")
    keep(page, f"{name}-{'phone' if size == PHONE else 'desktop'}-{theme}")


def test_a_click_on_a_heading_sorts_and_says_so(visit: Visit) -> None:
    page = visit("protocols/synth.html")
    expect_entries(page, NAMES)
    heading = page.locator("table[data-table=measured] thead th", has_text="Entry").first
    heading.click()
    expect_entries(page, sorted(NAMES, key=str.lower))
    expect(heading).to_have_attribute("aria-sort", "ascending")
    heading.click()
    expect_entries(page, sorted(NAMES, key=str.lower, reverse=True))
    expect(heading).to_have_attribute("aria-sort", "descending")


def test_a_value_is_sorted_as_a_number(visit: Visit) -> None:
    page = visit("protocols/synth.html")
    heading = page.locator("table[data-table=measured] thead th", has_text="cIoU@0.5").first
    heading.click()
    expect(heading).to_have_attribute("aria-sort", re.compile("ending$"))
    shown = page.locator("table[data-table=measured] tbody td.number:nth-child(3) b")
    values = [float(text) for text in shown.all_inner_texts()]
    assert values == sorted(values, reverse=True), "the best comes first at the first click"
    assert len(values) == 3


def test_headings_can_be_reached_and_used_by_keyboard(visit: Visit) -> None:
    page = visit("protocols/synth.html")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    heading = page.locator("table[data-table=measured] thead th", has_text="Entry").first
    for _ in range(40):
        page.keyboard.press("Tab")
        if heading.evaluate("element => element.contains(document.activeElement)"):
            break
    page.keyboard.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "ascending")


def test_filters_keep_the_rows_that_fit(visit: Visit) -> None:
    page = visit("protocols/synth.html")
    page.locator("[data-filter=modality]").select_option("audio-visual")
    expect_entries(page, [HOSTILE[:80]])
    expect(page.locator("#filters output")).to_have_text("1 of 3 rows")
    page.locator("#filters button[type=reset]").click()
    expect(page.locator("#filters output")).to_have_text("3 rows")
    page.locator("[data-filter=overlap]").select_option("none")
    expect_entries(page, ["Image centre", "Whole image"])


def test_a_filter_that_the_browser_fills_in_again_is_applied(visit: Visit) -> None:
    page = visit("protocols/synth.html")
    page.locator("[data-filter=modality]").select_option("audio-visual")
    page.get_by_role("link", name="Measures").click()
    page.wait_for_url("**/measures.html")
    page.go_back()
    expect(page.locator("[data-filter=modality]")).to_have_value("audio-visual")
    expect(page.locator("#filters output")).to_have_text("1 of 3 rows")
    expect_entries(page, [HOSTILE[:80]])


def test_a_wide_window_shows_the_whole_table_and_a_narrow_one_score_and_hearing(
    visit: Visit,
) -> None:
    scrolled = "element => element.scrollWidth - element.clientWidth"
    assert visit("protocols/synth.html").locator(".scroll").first.evaluate(scrolled) == 0
    page = visit("protocols/synth.html", PHONE)
    frame = page.locator(".scroll").first
    assert frame.evaluate(scrolled) > 0
    edge = frame.bounding_box()
    assert edge is not None
    for place in (3, 5):
        cell = page.locator(f"table.board tbody td:nth-child({place})").first.bounding_box()
        assert cell is not None
        assert cell["x"] + cell["width"] <= edge["x"] + edge["width"]


def test_the_name_of_an_entry_stays_while_its_row_is_scrolled(visit: Visit) -> None:
    page = visit("protocols/synth.html", PHONE)
    frame = page.locator(".scroll").first
    frame.evaluate("element => { element.scrollLeft = 250; }")
    names = page.locator("table.board .kept")
    edge = frame.bounding_box()
    assert edge is not None
    for place in range(names.count()):
        box = names.nth(place).bounding_box()
        assert box is not None
        assert box["x"] == pytest.approx(edge["x"], abs=1)


def test_floor_and_ceiling_stay_whatever_is_filtered(visit: Visit) -> None:
    page = visit("protocols/synth.html")
    page.locator("[data-filter=pretrained]").select_option("yes")
    foot = page.locator("table[data-table=measured] tfoot tr")
    assert [row.split()[0] for row in foot.all_inner_texts()] == ["ceiling", "oracle"] + [
        "floor"
    ] * (foot.count() - 2)


def test_reported_figures_are_apart_and_can_be_filtered(visit: Visit) -> None:
    page = visit("protocols/vggss.html")
    table = page.locator("table[data-table=printed]")
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(45)
    expect(table.locator("tr:has(.flag.bad)")).to_have_count(3)
    page.locator("[data-filter=pretrained]").select_option("no")
    expect(rows).to_have_count(10)


def test_a_search_finds_by_name_also_by_that_of_the_command_line(visit: Visit) -> None:
    page = visit("protocols/synth.html")
    page.locator("input[data-search]").fill("whole")
    expect_entries(page, ["Whole image"])
    page.locator("input[data-search]").fill("my-model")
    expect_entries(page, [HOSTILE[:80]])
    page.locator("input[data-search]").fill("no such name")
    expect(page.locator("table[data-table=measured] tbody")).to_have_text("No row fits the filters")


def test_what_a_reader_has_chosen_stands_in_the_address(visit: Visit) -> None:
    page = visit("protocols/synth.html")
    page.locator("[data-filter=modality]").select_option("trivial")
    page.locator("input[data-search]").fill("im")
    page.locator(".chooser summary").click()
    page.get_by_label("AUC", exact=True).check()
    head = page.locator("table[data-table=measured] thead th", has_text="Entry").first
    head.click()
    # These two stand in the same order without the click, so their names do not tell that it acted.
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect_entries(page, ["Image centre", "Whole image"])
    address = page.evaluate("location.hash")
    page = visit(f"protocols/synth.html{address}")
    expect_entries(page, ["Image centre", "Whole image"])
    expect(page.locator("[data-filter=modality]")).to_have_value("trivial")
    expect(page.locator("input[data-search]")).to_have_value("im")
    again = page.locator("table[data-table=measured] thead th")
    expect(again.filter(has_text="Entry").first).to_have_attribute("aria-sort", "ascending")
    expect(again.get_by_text("AUC", exact=True).first).to_be_visible()
    expect(again.get_by_text("pointing", exact=True).first).to_be_hidden()
    page.locator("#filters button[type=reset]").click()
    expect(page.locator("#filters output")).to_have_text("3 rows")
    assert "search" not in page.evaluate("location.hash")


def test_an_address_that_means_nothing_shows_the_whole_page(visit: Visit) -> None:
    page = visit("protocols/synth.html#?modality=no&sort.measured=no|up&columns=no&other=%%")
    expect_entries(page, NAMES)
    expect(page.locator("#filters output")).to_have_text("3 rows")


def test_heads_stay_in_sight(visit: Visit) -> None:
    page = visit("protocols/vggss.html")
    head = page.locator("table.printed thead th").first
    page.locator("table.printed tbody tr").nth(20).scroll_into_view_if_needed()
    expect(head).to_be_in_viewport()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_first_page_shows_score_and_hearing_of_every_entry(
    visit: Visit, size: dict[str, int]
) -> None:
    page = visit("index.html", size)
    row = page.locator("table.matrix tbody tr", has_text=HOSTILE[:20]).first
    cell = row.locator("td:not(.count)").first
    expect(cell).to_contain_text(re.compile(r"\d\.\d (none shown|\+\d)"))
    box, edge = cell.bounding_box(), page.locator(".scroll").first.bounding_box()
    assert box is not None
    assert edge is not None
    assert box["x"] + 50 < edge["x"] + edge["width"]
    cell.locator("a").click()
    page.wait_for_url("**/entries/synth/my-model.html")


def test_a_table_is_downloaded(visit: Visit) -> None:
    page = visit("protocols/synth.html")
    with page.expect_download() as started:
        page.locator(".downloads a", has_text="CSV").first.click()
    assert started.value.suggested_filename == "synth.csv"


def test_from_the_overview_to_an_entry_and_back(visit: Visit) -> None:
    page = visit("index.html")
    page.locator(".matrix thead").get_by_role("link", name="synth").click()
    page.get_by_role("link", name="Image centre").first.click()
    expect(page.locator("h1")).to_have_text("Image centre")
    page.get_by_role("link", name="card of the baseline").click()
    page.wait_for_url("**/baselines/center.html")
    page.go_back()
    page.locator(".crumbs a").first.click()
    expect(page.locator("h1")).to_have_text("Which pixels make the sound?")


def test_the_chosen_theme_is_kept_on_the_next_page(visit: Visit) -> None:
    page = visit("index.html", color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.locator("#theme").click()
    dark = page.evaluate(paper)
    assert dark != "rgb(255, 255, 255)"
    page.get_by_role("link", name="Measures").click()
    page.wait_for_url("**/measures.html")
    assert page.evaluate(paper) == dark
    expect(page.locator("#theme")).to_have_text("Light")


def test_the_system_decides_where_nothing_was_chosen(visit: Visit) -> None:
    page = visit("index.html", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    expect(page.locator("#theme")).to_have_text("Light")


def test_without_scripts_everything_can_be_read(visit: Visit) -> None:
    page = visit("protocols/synth.html", java_script_enabled=False)
    assert page.locator("table[data-table=measured] tbody tr").count() == 3
    page = visit("entries/synth/my-model.html", java_script_enabled=False)
    assert page.locator(".card:visible").count() == 24


def test_text_of_a_submitter_is_shown_and_never_run(visit: Visit) -> None:
    page = visit("entries/synth/my-model.html")
    expect(page.locator("h1")).to_contain_text("<script>alert(1)</script>")
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_a_printed_page_has_the_whole_gallery_and_no_buttons(visit: Visit) -> None:
    page = visit("entries/synth/my-model.html")
    page.emulate_media(media="print")
    assert page.locator(".card:visible").count() == 24
    expect(page.locator("#theme")).to_be_hidden()
