"""What a reader does with the page of an entry, and with figures of papers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Keep = Callable[[Page, str], None]


def test_the_gallery_is_paged_and_shows_picture_maps_truth_and_sound(
    visit: Visit, keep: Keep
) -> None:
    page = visit("entries/synth/my-model.html")
    gallery = page.locator(".gallery")
    gallery.scroll_into_view_if_needed()
    assert gallery.locator(".card:visible").count() == 6
    expect(gallery.locator(".where")).to_have_text("Best, 1 to 6 of 6")
    first = gallery.locator(".card:visible").first
    first.locator("img").first.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('.card img')].slice(0, 4)"
        ".every(each => each.naturalWidth > 0)"
    )
    # With the sound, and beside it without: each with its map, the truth and predicted pixels.
    assert first.locator(".picture").count() == 2
    for kind in (".heat", "svg.truth", "svg.predicted"):
        assert first.locator(kind).count() == 2
    length = first.locator("audio").evaluate(
        "sound => new Promise((done, fail) => {"
        " sound.onloadedmetadata = () => done(sound.duration);"
        " sound.onerror = () => fail(sound.error.message); sound.load(); sound.play(); })"
    )
    assert length > 1
    keep(page, "gallery")
    gallery.locator("button[data-kind=worst]").click()
    expect(gallery.locator(".where")).to_have_text("Worst, 1 to 6 of 6")
    gallery.locator("button[data-step='1']").click()
    expect(gallery.locator(".where")).to_have_text("Most gained by sound, 1 to 6 of 6")
    gallery.locator("button[data-step='1']").click()
    expect(gallery.locator(".where")).to_have_text("Random, 1 to 6 of 6")
    expect(gallery.locator("button[data-step='1']")).to_be_disabled()


def test_map_truth_and_predicted_pixels_can_be_hidden(visit: Visit) -> None:
    page = visit("entries/synth/my-model.html")
    heat = page.locator(".card:visible .heat").first
    assert float(heat.evaluate("each => getComputedStyle(each).opacity")) == pytest.approx(0.6)
    page.locator("[data-opacity]").fill("0")
    assert float(heat.evaluate("each => getComputedStyle(each).opacity")) == 0
    for name in ("truth", "predicted"):
        page.locator(f"[data-hides=no-{name}]").uncheck()
        expect(page.locator(f".card:visible .{name}").first).to_be_hidden()


def test_every_trial_is_listed_worst_first_and_can_be_chosen_by_category(visit: Visit) -> None:
    page = visit("entries/synth/my-model.html")
    section = page.locator("#all-trials")
    expect(section.locator(".where")).to_have_text("1 to 25 of 500")
    rows = section.locator("tbody tr")

    def column(number: int) -> list[float]:
        texts = rows.locator(f"td:nth-child({number})").all_inner_texts()
        return [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts]

    assert column(3) == sorted(column(3))
    section.locator("[data-order]").select_option("gained")
    assert column(5) == sorted(column(5), reverse=True)
    section.locator("[data-step='1']").click()
    expect(section.locator(".where")).to_have_text("26 to 50 of 500")
    section.locator("[data-category]").select_option(index=1)
    chosen = section.locator("[data-category] option").nth(1).inner_text()
    assert set(rows.locator("td:nth-child(2)").all_inner_texts()) == {chosen}


def test_a_listed_trial_leads_to_its_picture(visit: Visit) -> None:
    page = visit("entries/synth/my-model.html")
    page.locator("#all-trials tbody a").first.click()
    expect(page.locator(".gallery .where")).to_have_text("Worst, 1 to 6 of 6")
    expect(page.locator(".card:focus")).to_be_visible()


def test_printed_figures_of_one_test_set(visit: Visit) -> None:
    page = visit("reported.html")
    sections = page.locator(".printed-of:visible")
    assert sections.count() > 5
    page.locator("[data-filter=testset]").select_option("flickr-concat")
    expect(sections).to_have_count(1)
    expect(sections.locator("h2")).to_have_text("Concatenated pairs of Flickr-SoundNet")


def test_badges_of_printed_figures_are_in_the_window(visit: Visit) -> None:
    page = visit("reported.html")
    width = page.evaluate("window.innerWidth")
    for box in page.locator("td .flag").evaluate_all(
        "flags => flags.map(flag => flag.getBoundingClientRect().right)"
    ):
        assert box <= width
