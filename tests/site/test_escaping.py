"""What a submitter wrote is text on every page, and never anything else."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.documents import read_entry
from ssl_bench.site.board import read_board
from ssl_bench.site.pages import site_pages
from ssl_bench.site.rendering import address, printable, render

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
def pages(made_board: Path) -> dict[str, str]:
    return {page.path: page.render() for page in site_pages(read_board(made_board))}


def test_no_text_becomes_an_element_or_an_attribute(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        if not path.endswith(".html"):
            continue
        for tag, attributes in Elements(page).found:
            assert not any(name.startswith("on") for name in attributes), path
            assert "style" not in attributes, path
            if tag == "script":
                assert (attributes["src"] or "").lstrip("./").startswith("assets/"), path
            if tag == "img":
                source = attributes["src"] or ""
                assert source.startswith(("data:image/png;base64,", "../../media/")), path


def test_what_was_written_is_shown_as_it_was_written(pages: dict[str, str]) -> None:
    shown = Elements(pages["entries/synth/my-model.html"]).text
    assert "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{ 7 * 7 }}" in shown
    assert "49" not in pages["entries/synth/my-model.html"].split("{{ 7 * 7 }}")[0][-40:]
    for page in ("index.html", "protocols/synth.html"):
        assert "<script>alert(1)" in Elements(pages[page]).text


def test_printed_remarks_are_escaped(pages: dict[str, str]) -> None:
    assert "&lt;b&gt;a remark" in pages["protocols/vggss.html"]


def test_every_address_is_https_or_a_file_of_the_site(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        if path.endswith(".html"):
            for _, attributes in Elements(page).found:
                for name in ("href", "src"):
                    target = attributes.get(name) or ""
                    scheme = target.partition("/")[0]
                    assert ":" not in scheme or target.startswith(ALLOWED_SCHEMES), (path, target)


@pytest.mark.parametrize(
    "text",
    ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "//x.org", "http://x.org"],
)
def test_other_addresses_are_not_linked(text: str) -> None:
    assert address(text) == ""


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u200b", "\x1b", "\x00", "\ufeff", "\x7f"])
def test_invisible_signs_are_replaced_wherever_they_come_from(sign: str) -> None:
    assert printable(f"a{sign}b") == "a\N{REPLACEMENT CHARACTER}b"
    page = render(
        "measures.html.jinja",
        up="",
        path="",
        definitions=[(f"a{sign}b", {"form": "f", "title": "t"})],
    )
    assert sign not in page.replace("\n", "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "evil\u202egnp.exe"),
        ("name", "a\u200bb"),
        ("code_address", "javascript:alert(1)"),
        ("code_address", "https://example.org/\"onmouseover='x'"),
        ("slug", "../../x"),
    ],
)
def test_an_entry_that_was_edited_into_an_attack_is_refused(
    board: Path, field: str, value: str
) -> None:
    path = board / "entries" / "synth" / "my-model.json"
    content = json.loads(path.read_text())
    content["card"][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(LeaderboardError, match=r"my-model\.json"):
        read_board(board)


def test_an_entry_of_a_protocol_file_of_its_own_is_refused(board: Path, tmp_path: Path) -> None:
    path = board / "entries" / "synth" / "my-model.json"
    content = json.loads(path.read_text())
    label = f"{tmp_path}/evil.toml"
    content["protocol"] = content["result"]["protocol"]["label"] = label
    path.write_text(json.dumps(content))
    assert read_entry(path).protocol == label
    with pytest.raises(LeaderboardError, match=r"my-model\.json"):
        read_board(board)
