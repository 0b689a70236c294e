"""Suites: lists of protocols, checked when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import refused

from ssl_bench.protocols.protocol import Suite, load_protocol, load_suite, suite_names

GOOD = 'name = "mine"\ntitle = "Mine"\nsource = "here"\nprotocols = ["synth", "concat@vggss"]\n'


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_that_ships_names_protocols_that_ship(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert len({load_protocol(each).digest for each in suite.protocols}) == len(suite.protocols)


def test_the_two_comparisons_over_results_have_their_suites() -> None:
    assert load_suite("openset").protocols == ("vggss-heard", "vggss-unheard")
    assert load_suite("cross-dataset").protocols == ("vggss", "flickr")


def test_a_suite_of_ones_own(written: Path) -> None:
    assert load_suite(str(written)) == Suite(
        name="mine", title="Mine", source="here", protocols=("synth", "concat@vggss")
    )


@pytest.mark.parametrize(
    ("old", "new", "code", "word"),
    [
        ('"synth"', '"synht"', "E_PROTOCOL_UNKNOWN", "synht"),
        ('"synth"', '"concat@vggss"', "E_PROTOCOL_REPEATED", "concat@vggss"),
        ('["synth", "concat@vggss"]', "[]", "E_SCHEMA", "protocols"),
        ('["synth", "concat@vggss"]', '"synth"', "E_SCHEMA", "protocols"),
        ("source", "sauce", "E_SCHEMA", "sauce"),
        ('"Mine"', '"Mine', "E_TOML", "line 2"),
    ],
)
def test_a_malformed_suite_is_refused_with_its_file(
    old: str, new: str, code: str, word: str, written: Path
) -> None:
    written.write_text(GOOD.replace(old, new, 1))
    with refused(code, where=written) as caught:
        load_suite(str(written))
    assert word in str(caught.value)


def test_a_file_of_bytes_is_refused(written: Path) -> None:
    written.write_bytes(b"\xff\xfe\x00name")
    with refused("E_ENCODING", where=written):
        load_suite(str(written))


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with refused("E_SUITE_UNKNOWN", where="openset"):
        load_suite("opnset")
    with refused("E_FILE_MISSING", where="gone.toml"):
        load_suite(tmp_path / "gone.toml")
