"""The lists of protocols, models and measures, and one of each in full."""

from __future__ import annotations

import json

import pytest
from command_line import Call

import ssl_bench
from ssl_bench.predictions import PredictionsMeta


@pytest.mark.parametrize("command", ["protocols", "models", "measures"])
def test_tables_take_80_columns_and_no_blanks_behind(call: Call, command: str) -> None:
    lines = call(command).out.splitlines()
    assert all(line == line.rstrip() for line in lines)
    table = [line for line in lines if line.startswith(" ")]
    assert len(table) > 10
    assert max(map(len, table)) <= 80


def test_the_metadata_of_predictions_are_printed_for_other_languages(call: Call) -> None:
    meta = PredictionsMeta.model_validate_json(call("protocols", "synth", "--meta", "mine").out)
    assert meta == ssl_bench.open_trials("synth").predictions_meta("mine")
    assert call("protocols", "--meta", "mine").code == 2


def test_protocols_say_whose_data_ship(call: Call) -> None:
    rows = [line.split() for line in call("protocols").out.splitlines()]
    ends = {row[0]: row[-1] for row in rows if len(row) > 2}
    assert (ends["synth"], ends["concat"]) == ("ships", "ships")
    assert call("protocols").out.count("to get") > 10


def test_models_say_whose_weights_ship(call: Call) -> None:
    rows = [line.split() for line in call("models").out.splitlines()]
    ends = {row[0]: row[-1] for row in rows if len(row) > 2}
    assert (ends["ezvsl"], ends["center"]) == ("ships", "trivial")
    assert (ends["acl"], ends["avgn"]) == ("get", "train")


class TestMeasures:
    def test_a_measure_is_explained_as_it_is_written(self, call: Call) -> None:
        told = json.loads(call("measures", "cIoU(adaptive)@0.5", "--json").out)
        assert list(told)[:5] == ["measure", "title", "formula", "P", "G"]
        assert told["measure"] == "cIoU(adaptive)@0.5"
        assert told["title"].endswith("cIoU of at least 0.5")
        assert told["formula"] == "1 if sum(P G) / (sum(G) + #{P = 1, G = 0}) >= 0.5, else 0"
        assert "as many pixels as the truth has" in told["P"]

    def test_each_rule_has_its_own_words(self, call: Call) -> None:
        rules = ("half", "adaptive", "absolute", "fraction")
        found = {
            json.loads(call("measures", f"AUC{rule}", "--json").out)["P"]
            for rule in ("", *(f"({each})" for each in rules))
        }
        assert len(found) == 5

    def test_the_cIoU_of_a_formula_is_explained_too(self, call: Call) -> None:
        out = call("measures", "AUC").out
        assert "cIoU: sum(P G)" in out
        assert "G: the truth" in out

    def test_a_formula_without_a_prediction_explains_none(self, call: Call) -> None:
        told = json.loads(call("measures", "recall(a2i)@5", "--json").out)
        assert told["title"].endswith("first 5")
        assert not {"P", "G", "cIoU"} & {*told}

    def test_a_name_alone_explains_all_its_forms(self, call: Call) -> None:
        assert call("measures", "cIoU").out.startswith("form: cIoU[(half|adaptive")
