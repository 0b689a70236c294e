"""Protocol and dialect files: what they say, what identifies them, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import caller
from refusals import refused

from ssl_bench.files import content_folder
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import MapTable, ThresholdTable
from ssl_bench.protocols.protocol import (
    ControlsTable,
    Protocol,
    dialect_names,
    load_dialect,
    load_protocol,
    protocol_names,
)
from ssl_bench.testsets import definition
from ssl_bench.trials.compositions import composition_names

TEXT = """\
name = "mine"
title = "Mine"
version = 1
source = "a paper, section 4"
description = "What it is for."
reported = ["table-1"]
measures = ["cIoU@0.5", "AUC"]

[test_set]
name = "synth"
split = "standard"
options = { count = 4, seed = 0 }

[composition]
kind = "concat"
seed = 3
parameters = { pairs = 2 }

[truth]
convention = "test-set"

[map]
size = 224
interpolation = "bilinear-corners"
interpolation_on = { flickr = "bicubic-corners" }
normalisation = "minmax"

[threshold]
rule = "half"
value = 0.5
comparison = ">="
keep_maximum = false
undefined = "zero"

[controls]
floors = ["center"]
ceiling = true
vision_only = true
"""

Parse = Callable[[str], Protocol]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


@pytest.fixture
def parse(path: Path) -> Parse:
    def read(text: str) -> Protocol:
        path.write_text(text, encoding="utf-8")
        return load_protocol(str(path))

    return read


class TestShippedFiles:
    @pytest.mark.parametrize("name", protocol_names())
    def test_a_protocol_has_the_name_of_its_file_and_known_parts(self, name: str) -> None:
        protocol = load_protocol(name)
        assert protocol.name == name
        assert protocol.dialect == "canonical"
        assert protocol.composition.kind in composition_names()
        assert protocol.test_set.split in (None, *definition(protocol.test_set.name).splits)
        assert [str(parse_measure(text)) for text in protocol.measures] == list(protocol.measures)

    @pytest.mark.parametrize("name", dialect_names())
    def test_a_dialect_has_the_name_of_its_file_and_known_measures(self, name: str) -> None:
        dialect = load_dialect(name)
        assert dialect.name == name
        assert [str(parse_measure(text)) for text in dialect.measures] == list(dialect.measures)
        for test_set in dialect.map.interpolation_on:
            assert definition(test_set).name == test_set
        assert set(dialect.compositions or ()) <= set(composition_names())

    def test_digests_tell_the_protocols_apart(self) -> None:
        digests = {load_protocol(name).digest for name in protocol_names()}
        assert len(digests) == len(protocol_names()) > 1


class TestDefaults:
    SHORT = """\
name = "concat-small"
title = "Concat-and-localize, 50 pairs"
version = 1
source = "Oya et al. 2020, section 5"
measures = ["cIoU@0.5", "AUC", "side-accuracy"]

[test_set]
name = "synth"

[composition]
kind = "concat"
parameters = { pairs = 50 }
"""

    def test_a_file_states_only_what_differs_from_the_defaults(self, parse: Parse) -> None:
        protocol = parse(self.SHORT)
        assert protocol.controls == ControlsTable()
        assert (protocol.map, protocol.threshold) == (MapTable(), ThresholdTable())
        assert (protocol.composition.seed, protocol.answers) == (0, "maps")

    def test_the_command_line_shows_them(
        self, parse: Parse, path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        digest = parse(self.SHORT).on("synth", "standard").digest
        shown = caller(capsys)("protocols", path).out
        for line in ("split: standard", "rule: half", "size: 224", f"digest: {digest}"):
            assert line in shown

    def test_all_of_them_are_part_of_the_identity(self, parse: Parse) -> None:
        tables = parse(self.SHORT).tables
        assert tables["controls"]["floors"] == ["center", "full", "random", "random-pixel"]
        assert tables["threshold"]["rule"] == "half"
        assert tables["map"]["size"] == 224


class TestDigest:
    def test_layout_comments_order_and_spelling_do_not_change_it(self, parse: Parse) -> None:
        head, *tables = TEXT.split("\n\n")
        tables = [table.strip() for table in tables]
        reordered = "\n\n".join([head, *reversed(tables)])
        reordered = reordered.replace(" = ", "  =   ").replace("\n\n", "\n# a remark\n\n\n")
        reordered = reordered.replace("224", "0xE0")
        assert reordered != TEXT
        assert parse(reordered).digest == parse(TEXT).digest

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('title = "Mine"', 'title = "Another title"'),
            ("a paper, section 4", "another paper"),
            ("What it is for.", ""),
            ('["table-1"]', "[]"),
        ],
    )
    def test_prose_does_not_change_it(self, parse: Parse, old: str, new: str) -> None:
        assert old in TEXT
        assert parse(TEXT.replace(old, new)).digest == parse(TEXT).digest

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('name = "mine"', 'name = "yours"'),
            ("version = 1", "version = 2"),
            ('["cIoU@0.5", "AUC"]', '["AUC", "cIoU@0.5"]'),
            ('["cIoU@0.5", "AUC"]', '["cIoU@0.3", "AUC"]'),
            ('name = "synth"', 'name = "vggss"'),
            ('split = "standard"', 'split = "two-source"'),
            ("count = 4", "count = 5"),
            ("seed = 0 }", "seed = 1 }"),
            ('kind = "concat"', 'kind = "single"'),
            ("seed = 3", "seed = 4"),
            ("pairs = 2", "pairs = 3"),
            ('"test-set"', '"mask"'),
            ("size = 224", "size = 256"),
            ('interpolation = "bilinear-corners"', 'interpolation = "opencv-linear"'),
            ('flickr = "bicubic-corners"', 'flickr = "bicubic-half-pixel"'),
            ('"minmax"', '"none"'),
            ('rule = "half"', 'rule = "adaptive"'),
            ("value = 0.5", "value = 0.4"),
            ('comparison = ">="', 'comparison = ">"'),
            ("keep_maximum = false", "keep_maximum = true"),
            ('"zero"', '"nan"'),
            ('floors = ["center"]', 'floors = ["center", "full"]'),
            ("ceiling = true", "ceiling = false"),
            ("vision_only = true", "vision_only = false"),
        ],
    )
    def test_every_other_field_changes_it(self, parse: Parse, old: str, new: str) -> None:
        assert TEXT.count(old) == 1
        assert parse(TEXT.replace(old, new)).digest != parse(TEXT).digest

    def test_a_default_that_is_written_out_is_the_same_protocol(self, parse: Parse) -> None:
        short = TEXT.replace("value = 0.5\n", "").replace("keep_maximum = false\n", "")
        assert parse(short).digest == parse(TEXT).digest


class TestRefusals:
    @pytest.mark.parametrize(
        ("old", "new", "field"),
        [
            ("version = 1", "version = 1\ncolour = 3", "colour"),
            ("size = 224", "size = 224\nwidth = 3", "map.width"),
            ("version = 1", 'version = "1"', "version"),
            ("version = 1", "version = 1.5", "version"),
            ("version = 1", "version = 0", "version"),
            ("seed = 3", "seed = -1", "composition.seed"),
            ('title = "Mine"\n', "", "title"),
            ('["cIoU@0.5", "AUC"]', "[]", "measures"),
            ('["cIoU@0.5", "AUC"]', '"AUC"', "measures"),
            ("size = 224", "size = 0", "map.size"),
            ("size = 224", "size = 100000", "map.size"),
            ("size = 224", "size = true", "map.size"),
            ('interpolation = "bilinear-corners"', 'interpolation = "cubic"', "map.interpolation"),
            ('"minmax"', '"softmax"', "map.normalisation"),
            ('rule = "half"', 'rule = "best"', "threshold.rule"),
            ("value = 0.5", "value = nan", "threshold.value"),
            ("value = 0.5", "value = inf", "threshold.value"),
            ('comparison = ">="', 'comparison = "<"', "threshold.comparison"),
            ("keep_maximum = false", "keep_maximum = 0", "threshold.keep_maximum"),
            ('"test-set"', '"majority"', "truth.convention"),
            ('kind = "concat"\n', "", "composition.kind"),
            ("seed = 3", "seed = 1979-05-27", "composition.seed"),
            ('floors = ["center"]', "floors = [1]", "controls.floors"),
        ],
    )
    def test_a_wrong_field_is_named_with_the_file(
        self, parse: Parse, path: Path, old: str, new: str, field: str
    ) -> None:
        assert TEXT.count(old) == 1
        with refused("E_SCHEMA", where=path) as caught:
            parse(TEXT.replace(old, new))
        assert field in str(caught.value)
        assert caught.value.remedy

    def test_all_wrong_fields_are_named_at_once(self, parse: Parse) -> None:
        with refused("E_SCHEMA", where="version: ") as caught:
            parse(TEXT.replace("version = 1", 'version = "1"').replace("224", "0"))
        assert "map.size: " in str(caught.value)

    def test_broken_toml_is_refused_with_the_line(self, parse: Parse, path: Path) -> None:
        with refused("E_TOML", where=path) as caught:
            parse(TEXT.replace('title = "Mine"', "title = Mine"))
        assert "line 2" in str(caught.value)

    def test_a_file_that_is_not_text_is_refused(self, path: Path) -> None:
        path.write_bytes(b"name = \xff\xfe")
        with refused("E_ENCODING", where=path):
            load_protocol(str(path))

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with refused("E_FILE_MISSING", where="absent.toml"):
            load_protocol(tmp_path / "absent.toml")

    @pytest.mark.parametrize("name", ["vgg", "", "../protocols/vggss", "dialects/lvs"])
    def test_an_unknown_name_is_answered_with_the_known_ones(self, name: str) -> None:
        with refused("E_PROTOCOL_UNKNOWN") as caught:
            load_protocol(name)
        assert all(known in str(caught.value.remedy) for known in protocol_names())

    @pytest.mark.parametrize("name", ["lvz", "", "../vggss"])
    def test_an_unknown_dialect_is_answered_with_the_known_ones(self, name: str) -> None:
        with refused("E_DIALECT_UNKNOWN") as caught:
            load_dialect(name)
        assert all(known in str(caught.value.remedy) for known in dialect_names())


class TestOtherTestSets:
    @pytest.mark.parametrize(
        ("reference", "label"),
        [
            ("concat", "concat@synth:standard"),
            ("concat@vggss", "concat@vggss"),
            ("concat@vggss:heard", "concat@vggss:heard"),
            ("concat@synth", "concat@synth:standard"),
            ("concat@synth:two-source", "concat@synth:two-source"),
        ],
    )
    def test_the_reference_says_where(self, reference: str, label: str) -> None:
        assert load_protocol(reference).label == label

    @pytest.mark.parametrize("reference", ["concat@synth", "concat@synth:standard", "concat@"])
    def test_the_default_test_set_by_name_is_the_same_protocol(self, reference: str) -> None:
        assert load_protocol(reference) == load_protocol("concat")

    def test_the_options_of_one_test_set_do_not_follow_to_another(self) -> None:
        assert load_protocol("concat").test_set.options
        assert load_protocol("concat@vggss").test_set.options == {}

    def test_another_test_set_or_split_has_another_digest(self) -> None:
        references = ["concat", "concat@vggss", "concat@vggss:heard", "concat@vggss:unheard"]
        assert len({load_protocol(reference).digest for reference in references}) == 4

    def test_a_file_can_be_moved_too(self, path: Path, parse: Parse) -> None:
        parse(TEXT)
        assert load_protocol(f"{path}@vggss:heard").label == "mine@vggss:heard"

    def test_a_folder_may_have_an_at_sign_in_its_name(self, tmp_path: Path) -> None:
        path = tmp_path / "job@2" / "mine.toml"
        path.parent.mkdir()
        path.write_text(TEXT)
        assert load_protocol(str(path)).label == "mine@synth:standard"
        assert load_protocol(f"{path}@vggss").label == "mine@vggss"


class TestDialects:
    @pytest.mark.parametrize("name", dialect_names())
    def test_a_dialect_replaces_conventions_and_keeps_the_trials(self, name: str) -> None:
        dialect = load_dialect(name)
        if dialect.models:
            dialect = dialect.chosen(next(iter(dialect.models)))
        kind = dialect.compositions[0] if dialect.compositions else "single"
        asked = {"single": "vggss", "mixture": "vggss-duet", "negative_audio": "negative-audio"}
        canonical = load_protocol(asked[kind])
        spoken = canonical.under(dialect)
        assert spoken.dialect == dialect.name
        assert spoken.map == dialect.map
        assert spoken.threshold == dialect.threshold
        assert spoken.measures == dialect.measures
        assert (spoken.test_set, spoken.composition) == (canonical.test_set, canonical.composition)
        assert spoken.digest != canonical.digest

    def test_the_truth_changes_only_where_the_dialect_names_one(self, parse: Parse) -> None:
        masks = parse(TEXT.replace('"test-set"', '"mask"'))
        assert load_dialect("ezvsl").truth is None
        assert masks.under(load_dialect("ezvsl")).truth.convention == "mask"
        assert masks.under(load_dialect("oya")).truth.convention == "annotator-mean"

    @pytest.mark.parametrize(
        ("reference", "dialect", "code"),
        [
            ("retrieval", "ezvsl", "E_DIALECT_MAPS"),
            ("vggss", "vssl", "E_DIALECT_COMPOSITION"),
            ("negative-audio", "vssl", "E_DIALECT_CHOICE"),
        ],
    )
    def test_trials_that_a_dialect_cannot_score(
        self, reference: str, dialect: str, code: str
    ) -> None:
        with refused(code, where=dialect):
            load_protocol(reference).under(load_dialect(dialect))

    @pytest.mark.parametrize("name", ["vssl:nobody", "acl-half:0", "lvs:1", "dsol:trio"])
    def test_an_unknown_choice(self, name: str) -> None:
        with refused("E_DIALECT_CHOICE"):
            load_dialect(name)

    def test_an_interpolation_may_differ_on_one_test_set(self, parse: Parse) -> None:
        protocol = parse(TEXT)
        assert protocol.interpolation == "bilinear-corners"
        assert protocol.on("flickr").interpolation == "bicubic-corners"


def test_a_protocol_cannot_be_changed_by_accident() -> None:
    protocol: Any = load_protocol("synth")
    with pytest.raises(ValueError, match="frozen"):
        protocol.version = 2


def test_a_measure_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.toml"
    text = (content_folder("protocols") / "synth.toml").read_text()
    path.write_text(text.replace('"AUC", ', '"AUC", "AUC", ', 1))
    with refused("E_SCHEMA", where="AUC"):
        load_protocol(str(path))


def test_a_title_does_not_name_a_test_set_that_another_took_the_place_of() -> None:
    assert "embedded" in load_protocol("synth").title
    assert "embedded" not in load_protocol("synth@birds").title
    assert load_protocol("synth@synth:train").title == load_protocol("synth").title
    assert load_protocol("concat@vggss").title == load_protocol("concat").title
    assert load_protocol("synth@vggss").digest == load_protocol("synth").on("vggss").digest
