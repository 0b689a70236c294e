"""What a submitter wrote is text on every page, and never anything else."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from boards import HOSTILE

from ssl_bench.site.rendering import printable, render

ALLOWED_SCHEMES = ("https://", "data:image/png;base64,", "data:,")


class Elements(HTMLParser):
    """Names, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def parsed(pages: dict[str, str]) -> dict[str, Elements]:
    return {path: Elements(page) for path, page in pages.items() if path.endswith(".html")}


def test_no_text_becomes_an_element_or_an_attribute(
    parsed: dict[str, Elements], pages: dict[str, str]
) -> None:
    for path, page in parsed.items():
        for tag, attributes in page.found:
            assert not any(name.startswith("on") for name in attributes), path
            assert "style" not in attributes, path
            if tag == "script":
                source = (attributes["src"] or "").lstrip("./")
                beside = (Path(path).parent / source).as_posix()
                assert source.startswith("assets/") or beside in pages, path
            if tag == "img":
                source = attributes["src"] or ""
                assert source.startswith(("data:image/png;base64,", "../../media/")), path


def test_every_url_is_https_or_a_file_of_the_site(parsed: dict[str, Elements]) -> None:
    for path, page in parsed.items():
        for _, attributes in page.found:
            for name in ("href", "src"):
                target = attributes.get(name) or ""
                scheme = target.partition("/")[0]
                assert ":" not in scheme or target.startswith(ALLOWED_SCHEMES), (path, target)


def test_what_was_written_is_shown_as_it_was_written(parsed: dict[str, Elements]) -> None:
    assert HOSTILE in parsed["entries/synth/my-model.html"].text
    for page in ("index.html", "protocols/synth.html"):
        assert "<script>alert(1)" in parsed[page].text


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u200b", "\x1b", "\x00", "\ufeff", "\x7f"])
def test_invisible_characters_are_replaced_wherever_they_come_from(sign: str) -> None:
    assert printable(f"a{sign}b") == "a\N{REPLACEMENT CHARACTER}b"
    page = render("measures.html.jinja", up="", path="", uses=[], rules={f"a{sign}b": ""}, signs={})
    assert sign not in page.replace("\n", "")
