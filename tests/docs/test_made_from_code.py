"""The pages that are made from the code hold all that there is."""

from __future__ import annotations

import json
import re

import pytest
from contents import listed
from made_from_code import SCHEMAS, error_codes, every_command, pages, plain

import ssl_bench
from ssl_bench import measures
from ssl_bench.measures.values import DEFINITIONS
from ssl_bench.models.registry import list_baselines
from ssl_bench.protocols.protocol import dialect_names, load_dialect, protocol_names
from ssl_bench.testsets import definitions


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


def headings(page: str) -> set[str]:
    return set(re.findall(r"^## (.+)$", page, re.MULTILINE))


def test_every_command_and_every_option_is_told(made: dict[str, str]) -> None:
    sections = re.split(r"^## ", made["commands.md"], flags=re.MULTILINE)
    by_name = {section.partition("\n")[0]: section for section in sections[1:]}
    for name, command in every_command():
        options = [each for option in command.params for each in option.opts if each[0] == "-"]
        assert [each for each in options if each not in by_name[name]] == []


def test_every_public_name_is_documented(made: dict[str, str]) -> None:
    public = {name for name in ssl_bench.__all__ if not name.startswith("__")}
    told = set(re.findall(r"auto\w+:: ssl_bench\.(\w+)$", made["python.md"], re.MULTILINE))
    assert told == public
    arrays = re.findall(r"auto\w+:: ssl_bench\.measures\.(\w+)$", made["python.md"], re.MULTILINE)
    assert set(arrays) == set(measures.__all__)


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("protocols.md", protocol_names()),
        ("measures.md", [plain(name) for name in DEFINITIONS]),
        ("models.md", list_baselines()),
        ("baselines.md", list_baselines()),
        ("test-sets.md", list(definitions())),
        ("schemas.md", list(SCHEMAS)),
    ],
)
def test_each_has_a_section(page: str, names: list[str], made: dict[str, str]) -> None:
    assert set(names) <= headings(made[page])


def test_every_made_page_is_in_the_table_of_contents(made: dict[str, str]) -> None:
    whole = {
        f"made/{name.removesuffix('.md')}" for name in made if re.fullmatch(r"[\w-]+\.md", name)
    }
    assert whole == {name for name in listed() if name.startswith("made/")}


def test_every_dialect_has_a_row_and_its_source(made: dict[str, str]) -> None:
    rows = made["parts/dialects.md"].replace("\\|", "|")
    for name in dialect_names():
        form = load_dialect(name).form
        assert f"\n| `{form}` |" in rows
        assert f"`{form}`\n: " in made["parts/dialect-sources.md"]


def test_what_differs_from_the_canonical_protocol_is_bold(made: dict[str, str]) -> None:
    [row] = re.findall(r"^\| `lvs` \|.*$", made["parts/dialects.md"], re.MULTILINE)
    assert "**inverted-minmax**" in row
    assert "**>, maximum**" in row.replace("\\", "")
    assert "| 224 |" in row


def test_schemas_are_json_schemas_of_the_models(made: dict[str, str]) -> None:
    for name in SCHEMAS:
        assert json.loads(made[f"schemas/{name}.json"])["type"] == "object"


def test_codes_of_errors_are_found_in_the_code() -> None:
    assert {"E_USAGE", "E_PROTOCOL_UNKNOWN", "E_MASK_LEVELS"} <= error_codes().keys()


def test_text_of_files_is_shown_as_it_is() -> None:
    assert plain("[A-1] 2*3 <b> | `a*b`") == r"\[A-1\] 2\*3 \<b\> | `a*b`"
