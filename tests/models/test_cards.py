"""Every baseline's card says what it is, what it assumes and what was measured."""

from __future__ import annotations

import re

import pytest
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.models.cards import Card
from ssl_bench.models.recipes import checked
from ssl_bench.models.registry import list_baselines, load_baseline


@pytest.mark.parametrize("name", list_baselines())
def test_labels_of_assumptions_are_distinct_on_a_card(name: str) -> None:
    deviations = load_baseline(name).card.deviations
    labels = [label for text in deviations for label in re.findall(r"^\[A-\d+\]", text)]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("name", list_baselines())
def test_a_card_says_what_was_measured(name: str) -> None:
    assert any(re.search(r"\d+\.\d", text) for text in load_baseline(name).card.measured)


COMMAND = re.compile(r"'(ssl-bench \w+|pytest |python benchmarks/\w+\.py)[^']*'")


@pytest.mark.parametrize("name", list_baselines())
def test_a_command_stands_beside_what_was_measured(name: str) -> None:
    """Each entry with a figure names, in quotation marks, what makes it."""
    for text in load_baseline(name).card.measured:
        assert COMMAND.search(text) or not re.search(r"\d\.\d", text), text


@pytest.mark.parametrize("field", ["deviations", "measured", "weights", "preprocessing"])
def test_a_card_without_a_field_is_refused(field: str) -> None:
    table = load_baseline("center").card.model_dump()
    del table[field]
    with refused("E_SCHEMA", where=field, kind=ModelError):
        checked(Card, table, "card.toml")


def test_a_card_without_a_measurement_is_refused() -> None:
    with refused("E_SCHEMA", where="measured", kind=ModelError):
        checked(Card, load_baseline("center").card.model_dump() | {"measured": ()}, "card.toml")
