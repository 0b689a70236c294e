"""Runs compared pair by pair, and the reasons why two results differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from command_line import document_of
from refusals import refused
from standin_results import result

from ssl_bench.analysis.evaluation import evaluate
from ssl_bench.analysis.explanation import MEANINGS, SETTINGS_MEANINGS, explain
from ssl_bench.analysis.paired_runs import Run, compare_runs, read_run
from ssl_bench.cli.main import main
from ssl_bench.files import sha256_of_json
from ssl_bench.protocols.protocol import ControlsTable, Protocol, TestSetTable, load_protocol
from ssl_bench.scoring.results import (
    QUESTION_FIELDS,
    SETTINGS_TABLES,
    Result,
    differing_fields,
)
from ssl_bench.scoring.score_file import write_scores


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    table = TestSetTable(name="synth", split="standard", options={"count": 60})
    controls = ControlsTable(floors=("center", "full"), priors=("ogl-l1",))
    changed = {"test_set": table, "controls": controls}
    return load_protocol("concat").model_copy(update=changed)


@pytest.fixture(scope="module")
def folders(protocol: Protocol, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    for name in ("center", "random", "oracle", "ezvsl"):
        evaluate(name, protocol, folder=root / name)
    return {path.name: path for path in root.iterdir()}


@pytest.fixture
def runs(folders: dict[str, Path]) -> dict[str, Run]:
    return {name: read_run(path) for name, path in folders.items()}


def renamed(run: Run, label: str, scores: pd.DataFrame | None = None) -> Run:
    return Run(run.folder, label, run.result, run.scores if scores is None else scores)


@pytest.mark.slow
def test_a_run_against_itself_is_a_tie(runs: dict[str, Run]) -> None:
    found = compare_runs([runs["ezvsl"], renamed(runs["ezvsl"], "again")])
    (pair,) = found.pairs
    assert all(each.difference.value == 0 and each.tied for each in pair.differences)
    assert (pair.only_first, pair.only_second, pair.changed) == (0, 0, ())


@pytest.mark.slow
def test_a_real_difference_is_apart(runs: dict[str, Run]) -> None:
    pair = compare_runs([runs["oracle"], runs["center"]]).pairs[0]
    adaptive = next(each for each in pair.differences if each.measure == "cIoU(adaptive)@0.5")
    assert adaptive.difference.value == 1.0
    assert not adaptive.tied
    assert adaptive.p_value < 0.001


@pytest.mark.slow
def test_each_difference_is_that_of_the_two_values(runs: dict[str, Run]) -> None:
    found = compare_runs([runs["ezvsl"], runs["random"], runs["center"]])
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("ezvsl", "random"),
        ("ezvsl", "center"),
        ("random", "center"),
    ]
    for pair in found.pairs:
        for each in pair.differences:
            assert each.difference.value == pytest.approx(each.first.value - each.second.value)
            assert each.corrected >= each.p_value


def test_the_changed_trials_come_largest_first(runs: dict[str, Run]) -> None:
    pair = compare_runs([runs["ezvsl"], runs["center"]], most=7).pairs[0]
    changes = [abs(each.first - each.second) for each in pair.changed]
    assert len(changes) == 7
    assert changes == sorted(changes, reverse=True)
    one, other = (runs[name].scores.set_index("trial_id")["cIoU"] for name in ("ezvsl", "center"))
    assert changes[0] == pytest.approx((one - other.loc[one.index]).abs().max())


def test_the_order_of_rows_does_not_matter(runs: dict[str, Run]) -> None:
    shuffled = runs["center"].scores.sample(frac=1, random_state=3)
    straight = compare_runs([runs["ezvsl"], runs["center"]])
    assert compare_runs([runs["ezvsl"], renamed(runs["center"], "center", shuffled)]) == straight


def test_only_common_trials_count(runs: dict[str, Run]) -> None:
    part = renamed(runs["center"], "part", runs["center"].scores.iloc[:20])
    assert compare_runs([runs["ezvsl"], part]).pairs[0].n_trials == 20
    none = renamed(runs["center"], "none", runs["center"].scores.iloc[:0])
    with refused("E_COMPARE_DIFFERENT"):
        compare_runs([runs["ezvsl"], none])


def test_the_same_run_cannot_be_compared_with_itself(folders: dict[str, Path]) -> None:
    same = [read_run(folders["ezvsl"]), read_run(folders["ezvsl"] / "result.json")]
    with refused("E_COMPARE_SAME"):
        compare_runs(same)


def test_hearing_is_that_of_each_result(runs: dict[str, Run]) -> None:
    found = compare_runs([runs["ezvsl"], runs["center"]], measures=["AUC", "cIoU@0.5"]).hearing
    assert [each.run for each in found] == ["ezvsl", "center"]
    for told in found:
        known = {each.measure: each for each in runs[told.run].result.hearing}
        assert told.measures == (known["AUC"], known["cIoU@0.5"])


def test_maps_without_the_sound_count_in_the_hearing_of_every_run(runs: dict[str, Run]) -> None:
    pair, deaf = [runs["ezvsl"], runs["center"]], {"looks": runs["oracle"].scores}
    for told in compare_runs(pair, measures=["AUC"], without=deaf).hearing:
        assert told.measures[0].best_without == "prior looks"
        assert not told.measures[0].is_shown
    earlier = [replace(run, result=run.result.model_copy(update={"hearing": ()})) for run in pair]
    assert not any(each.measures for each in compare_runs(earlier).hearing)
    found = compare_runs(earlier, measures=["AUC"], without=deaf).hearing
    assert [each.measures[0].best_without for each in found] == ["prior looks"] * 2


def test_one_run_or_an_unknown_measure_is_refused(runs: dict[str, Run]) -> None:
    with refused("E_COMPARE_ONE"):
        compare_runs([runs["ezvsl"]])
    with refused("E_MEASURE_MISSING", where="IIoU@0.5"):
        compare_runs([runs["ezvsl"], runs["center"]], measures=["IIoU@0.5"])


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"protocol": "other"}, ["protocol name"]),
        ({"dialect": "lvs"}, ["protocol dialect"]),
        ({"digest": "c" * 64}, ["protocol digest"]),
        ({"split": "half"}, ["test set split"]),
        ({"test_set_digest": "d" * 64}, ["test set digest"]),
        ({"protocol": "other", "digest": "c" * 64}, ["protocol name"]),
        ({}, []),
    ],
)
def test_it_says_in_which_field_two_questions_differ(
    changed: dict[str, str], named: list[str]
) -> None:
    assert [name for name, *_ in differing_fields(result(), result(**changed))] == named


def under(protocol: Protocol) -> Result:
    own = result()
    told = {"digest": protocol.digest, "tables": protocol.tables}
    return own.model_copy(update={"protocol": own.protocol.model_copy(update=told)})


def with_rule(protocol: Protocol, **changed: str) -> Protocol:
    return protocol.model_copy(update={"threshold": protocol.threshold.model_copy(update=changed)})


def test_it_names_the_setting_of_the_protocol_file_that_differs(protocol: Protocol) -> None:
    first, second = under(protocol), under(with_rule(protocol, rule="adaptive"))
    assert differing_fields(first, second) == [("protocol threshold.rule", "adaptive", "half")]
    (cause,) = explain(first, second).causes
    assert (cause.field, cause.before, cause.after) == (
        "protocol threshold.rule",
        "half",
        "adaptive",
    )
    assert (cause.weight, cause.meaning) == ("decides", "other pixels count as predicted")


def test_measures_and_controls_leave_common_numbers_alone(protocol: Protocol) -> None:
    fewer = protocol.model_copy(
        update={
            "measures": protocol.measures[:1],
            "controls": protocol.controls.model_copy(update={"floors": ("center",)}),
        }
    )
    found = explain(under(protocol), under(fewer))
    assert {cause.field: cause.weight for cause in found.causes} == {
        "protocol controls.floors": "may matter",
        "protocol measures": "may matter",
    }


def test_without_the_settings_a_digest_is_all_there_is(protocol: Protocol) -> None:
    older = under(protocol)
    older = older.model_copy(
        update={"protocol": older.protocol.model_copy(update={"tables": None})}
    )
    named = differing_fields(older, under(with_rule(protocol, rule="adaptive")))
    assert [name for name, *_ in named] == ["protocol digest"]


def test_a_result_records_all_that_its_digest_stands_for(runs: dict[str, Run]) -> None:
    for run in runs.values():
        told = run.result.protocol
        assert told.tables is not None
        assert sha256_of_json(told.tables) == told.digest


def test_runs_refused_for_a_setting_name_it_with_both_values(
    runs: dict[str, Run], protocol: Protocol
) -> None:
    changed = with_rule(protocol, rule="adaptive")
    told = {"digest": changed.digest, "tables": changed.tables}
    own = runs["center"].result
    other = own.model_copy(update={"protocol": own.protocol.model_copy(update=told)})
    foreign = Run(Path("elsewhere"), "other", other, runs["center"].scores)
    with refused("E_COMPARE_DIFFERENT", where="threshold.rule 'adaptive'"):
        compare_runs([runs["ezvsl"], foreign])


def test_every_field_of_a_question_has_a_meaning() -> None:
    assert set(SETTINGS_MEANINGS) == set(SETTINGS_TABLES)
    named = {
        f"{part} {name}" for part, names in QUESTION_FIELDS.items() for name in (*names, "digest")
    }
    assert named == set(MEANINGS)


def test_runs_of_different_questions_are_refused(runs: dict[str, Run]) -> None:
    other = Run(Path("elsewhere"), "other", result(dialect="lvs"), runs["center"].scores)
    with refused("E_COMPARE_DIFFERENT", where="elsewhere: "):
        compare_runs([runs["ezvsl"], other])


def test_a_score_table_that_is_missing_or_foreign(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes((folders["center"] / "result.json").read_bytes())
    with refused("E_FILE_MISSING", where="scores.npz"):
        read_run(tmp_path)
    (tmp_path / "scores.npz").write_bytes(b"no table")
    with refused("E_SCORES_DAMAGED", where="scores.npz"):
        read_run(tmp_path)
    write_scores(tmp_path / "scores.npz", pd.DataFrame({"trial_id": ["a"]}))
    with refused("E_SCORES_DAMAGED", where="scores.npz"):
        read_run(tmp_path)
    texts, flags = dict.fromkeys(("trial_id", "group", "category"), "a"), ("present", "sounding")
    table = pd.DataFrame([{**texts, **dict.fromkeys(flags, True)}])
    write_scores(tmp_path / "scores.npz", table)
    with refused("E_SCORES_OTHER"):
        read_run(tmp_path)


def causes(before: Result, after: Result) -> dict[str, str]:
    return {cause.field: cause.weight for cause in explain(before, after).causes}


def test_the_same_maps_under_another_dialect() -> None:
    one = result().model_copy(update={"predictions_sha256": "e" * 64})
    other = result(dialect="lvs", digest="c" * 64).model_copy(
        update={"predictions_sha256": "e" * 64}
    )
    shifted = other.model_copy(
        update={"measures": (other.measures[0].model_copy(update={"value": 0.4}),)}
    )
    found = explain(one, shifted)
    assert "byte for byte" in found.verdict
    assert "dialect" in found.verdict
    assert causes(one, shifted) == {"protocol dialect": "decides"}


def test_other_weights_of_the_same_model() -> None:
    one, other = result(weights="1" * 64), result(weights="2" * 64)
    other = other.model_copy(
        update={"measures": (other.measures[0].model_copy(update={"value": 0.6}),)}
    )
    found = explain(one, other)
    assert [cause.field for cause in found.causes] == ["model weights"]
    assert "The question is the same" in found.verdict
    assert (found.measures[0].before, found.measures[0].after) == (0.5, 0.6)


def test_another_library_is_named_after_what_decides() -> None:
    one = result().model_copy(update={"environment": {"libraries": {"pillow": "11"}}})
    other = result(test_set_digest="f" * 64).model_copy(
        update={"environment": {"libraries": {"pillow": "12"}, "python": "3.12"}}
    )
    assert list(causes(one, other).items()) == [
        ("test set digest", "decides"),
        ("library pillow", "may matter"),
        ("python", "rounding only"),
    ]


def test_equal_facts_with_other_numbers_are_suspicious() -> None:
    one = result()
    other = one.model_copy(
        update={"measures": (one.measures[0].model_copy(update={"value": 0.9}),)}
    )
    assert "altered" in explain(one, other).verdict


def test_on_the_command_line(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["compare", str(folders["ezvsl"]), str(folders["center"]), "--json"]
    main(arguments)
    document = json.loads(capsys.readouterr().out)
    assert document_of(arguments, document) == "compare"
    (pair,) = document["pairs"]
    assert pair["n_trials"] == 60
    main(arguments[:-1])
    assert "Changed most" in capsys.readouterr().out
    main(["explain", str(folders["ezvsl"]), str(folders["center"] / "result.json")])
    assert "The question is the same" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(folders["ezvsl"]), str(tmp_path)])
    assert stopped.value.code == 2
