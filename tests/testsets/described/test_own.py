"""A test set of one's own: how it is found, its masks, splits and pairs, and what works on it."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from boards import write_card, write_maps
from command_line import caller
from own_sets import (
    HEADER,
    TABLE,
    add_images,
    add_sounds,
    coco,
    describe,
    instances,
    opened,
    problems_of,
    scenes,
    table,
)
from PIL import Image
from refusals import refused

from ssl_bench import testsets
from ssl_bench.errors import DataError
from ssl_bench.leaderboard.assess import open_bench
from ssl_bench.testsets import definition, open_test_set, own_test_sets
from ssl_bench.testsets.annotations import Mask
from ssl_bench.testsets.described.description import FILE, Description, read_description
from ssl_bench.testsets.described.template import template, write_template
from ssl_bench.testsets.folder import truth_digest
from ssl_bench.training.folder import HeldOut, read_held_out
from ssl_bench.trials.compositions import open_trials, resolve_protocols

ROWS = ["a,a,dog,0,0,0.5,1", "b,b,cat,0,0,1,0.5", "c,c,owl,0.5,0,1,1"]


class TestFinding:
    def test_a_folder_with_a_description_is_known_by_its_name(self, tmp_path: Path) -> None:
        folder = table(tmp_path, ROWS)
        assert own_test_sets(tmp_path) == {"mine": folder / FILE}
        assert definition("mine", tmp_path).title == "Mine"
        (protocol,) = resolve_protocols("concat@mine", tmp_path)
        assert protocol.label == "concat@mine:all"

    def test_it_is_found_by_the_variable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table(tmp_path, ROWS)
        monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
        with refused("E_TEST_SET", where="SSL_BENCH_DATA"):
            open_test_set("mine")
        monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path))
        assert len(open_test_set("mine")) == 3
        held_out = read_held_out("concat@mine")
        assert isinstance(held_out, HeldOut)
        assert "a" in held_out.clips

    def test_a_built_in_name_stays_built_in(self, tmp_path: Path) -> None:
        folder = table(tmp_path, ROWS)
        folder.rename(tmp_path / "vggss")
        assert definition("vggss", tmp_path).title == "VGG-SS"
        with refused("E_TEST_SET", where="mine"):
            open_test_set("mine", data=tmp_path)

    @pytest.mark.parametrize("broken", ["module", "kind"])
    def test_another_package_can_add_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
    ) -> None:
        folder = table(tmp_path / "theirs", ROWS)
        module = tmp_path / "their_package.py"
        module.write_text(
            "from pathlib import Path\n"
            "from ssl_bench.testsets.described import Described, read_description\n"
            f"TEST_SET = Described('mine', read_description(Path({str(folder / FILE)!r})))\n"
            "OTHER = 3\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        wrong = {"module": "no_such_module:X", "kind": "their_package:OTHER"}[broken]
        points = [
            EntryPoint(name, value, testsets.PLUG_INS)
            for name, value in (("mine", "their_package:TEST_SET"), ("broken", wrong))
        ]
        monkeypatch.setattr(testsets, "entry_points", lambda group: points)
        assert len(open_test_set("mine", data=folder.parent)) == 3
        with refused("E_PLUGIN_BROKEN", where="broken"):
            open_test_set("broken", data=folder.parent)


class TestDescription:
    @pytest.mark.parametrize("form", ["table", "coco", "masks"])
    def test_the_written_one_can_be_read(self, tmp_path: Path, form: str) -> None:
        path = write_template(tmp_path / "mine", form)  # type: ignore[arg-type]
        forms = read_description(path).forms
        assert forms[0].form == ("coco" if form == "coco" else "table")
        assert all(len(line) <= 120 for line in path.read_text().splitlines())
        with refused("E_FILE_EXISTS", where=path):
            write_template(tmp_path / "mine", form)  # type: ignore[arg-type]

    def test_what_stands_in_it_as_a_comment_can_be_used(self) -> None:
        of_tables, _, rest = template("mine", "table").partition("# coco:")
        lines = [line.removeprefix("# ") for line in of_tables.splitlines()[3:] if " = " in line]
        lines += [line.removeprefix("# ") for line in rest.splitlines()[-6:]]
        table = tomllib.loads("\n".join(lines).replace("shares", "pixels"))
        content = Description.model_validate_json(json.dumps(table))
        assert content.splits == {"easy": "easy.txt"}
        assert content.forms[0].never_heard == ("tree",)
        assert (content.partial, content.silent) == (True, "pairs.csv")

    @pytest.mark.parametrize(
        ("description", "code", "place"),
        [
            ('images = "../frames"\n', "E_ID", "images"),
            ('images = "/frames"\n', "E_ID", "images"),
            ('colour = "red"\n', "E_SCHEMA", "colour"),
            ("annotation.derive.group = { of = 'id', pattern = '(' }\n", "E_PATTERN", "pattern"),
            ("annotation.derive.group = { of = 'id', pattern = 'a' }\n", "E_PATTERN", "pattern"),
            ('annotation.units = "inches"\n', "E_SCHEMA", "units"),
            ("annotation.frame = [0, 3]\n", "E_SCHEMA", "frame"),
            ('annotation.attributes = ["image"]\n', "E_SCHEMA", "attribute"),
            ('splits.all = "all.txt"\n', "E_SCHEMA", "all"),
            ("annotation.file = 3\n", "E_TOML", FILE),
        ],
    )
    def test_a_wrong_one_is_refused_with_its_field(
        self, tmp_path: Path, description: str, code: str, place: str
    ) -> None:
        table(tmp_path, ROWS, description)
        with refused(code, where=place, kind=DataError):
            open_test_set("mine", data=tmp_path)


def mask_file(folder: Path, name: str, pixels: np.ndarray) -> None:
    (folder / "masks").mkdir(exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")


class TestMasks:
    LEFT = np.repeat([[1, 1, 0, 0]], 3, axis=0)

    def test_files_alone_are_samples(self, tmp_path: Path) -> None:
        description = """
            annotation.form = "masks"
            annotation.file = "masks"
            annotation.derive.category = { of = "image", pattern = '([a-z]+)_.*' }
            [masks]
        """
        folder = describe(tmp_path, description, {})
        for name in ("dog_1", "cat_2"):
            mask_file(folder, name, self.LEFT)
        test_set = opened(folder)
        assert [(each.id, each.category) for each in test_set.samples] == [
            ("cat_2", "cat"),
            ("dog_1", "dog"),
        ]
        assert test_set.truth_convention == "mask"
        annotation = test_set.samples[0].annotation
        assert isinstance(annotation, Mask)
        np.testing.assert_array_equal(annotation.pixels, self.LEFT)

    def test_a_table_names_them_and_several_make_one_sample(self, tmp_path: Path) -> None:
        description = """
            annotation.form = "table"
            annotation.file = "samples.csv"
            annotation.columns = { image = "image", category = "kind", mask = "mask" }
            [masks]
        """
        rows = "image,kind,mask\na,dog,a1.png\na,dog,a2\na,cat,a2\n"
        folder = describe(tmp_path, description, {"samples.csv": rows})
        mask_file(folder, "a1", self.LEFT)
        mask_file(folder, "a2", self.LEFT[:, ::-1])
        dog, cat = opened(folder).samples
        assert isinstance(dog.annotation, Mask)
        assert isinstance(cat.annotation, Mask)
        assert (dog.annotation.pixels.mean(), cat.annotation.pixels.mean()) == (1, 0.5)

    def test_missing_damaged_and_misshapen_ones_are_told_at_once(self, tmp_path: Path) -> None:
        description = """
            annotation.form = "table"
            annotation.file = "samples.csv"
            annotation.columns = { image = "image" }
            [masks]
        """
        names = ("gone", "square", "levels", "good")
        rows = "\n".join(("image", *names))
        folder = describe(tmp_path, description, {"samples.csv": rows})
        add_images(folder, names)
        mask_file(folder, "square", np.eye(30))
        mask_file(folder, "good", np.eye(30, 40))
        mask_file(folder, "levels", np.eye(30, 40))
        Image.fromarray(np.arange(1200).reshape(30, 40).astype(np.uint8)).save(
            folder / "masks" / "levels.png"
        )
        with refused("E_FILE_MISSING", "E_IMAGE_SIZE", "E_MASK_LEVELS", where="line 2 ('gone')"):
            opened(folder)
        found = definition("mine", tmp_path).verify(folder)
        assert [(each.level, each.item) for each in found if each.item.startswith("masks/")] == [
            ("missing", "masks/gone.png"),
            ("corrupt", "masks/square.png"),
            ("corrupt", "masks/levels.png"),
        ]

    def test_beside_boxes_they_lie_in_the_folder_that_is_named(self, tmp_path: Path) -> None:
        folder = table(tmp_path, ROWS, '[masks]\nfolder = "drawn"\n')
        for name in "abc":
            mask_file(folder, name, self.LEFT)
        (note,) = [
            each for each in definition("mine", tmp_path).verify(folder) if each.item == "drawn/"
        ]
        assert note.level == "note"
        (folder / "masks").rename(folder / "drawn")
        found = definition("mine", tmp_path).verify(folder)
        assert ("ok", "drawn/") in [(each.level, each.item) for each in found]


class TestIdentity:
    def test_a_convention_that_the_annotation_does_not_imply_is_part_of_the_digest(
        self, tmp_path: Path
    ) -> None:
        usual = opened(table(tmp_path / "a", ROWS))
        stated = opened(
            describe(tmp_path / "b", f'truth = "union"\n{TABLE}', {"boxes.csv": text()})
        )
        other = opened(
            describe(tmp_path / "c", f'truth = "consensus"\n{TABLE}', {"boxes.csv": text()})
        )
        assert usual.digest == stated.digest == truth_digest(usual.samples)
        assert other.digest != usual.digest
        assert other.truth_convention == "consensus"

    def test_splits_are_lists_of_ids(self, tmp_path: Path) -> None:
        folder = table(tmp_path, ROWS, '[splits]\neasy = "easy.txt"\n')
        (folder / "easy.txt").write_text("c\na\n")
        assert [sample.id for sample in opened(folder, "easy").samples] == ["a", "c"]
        assert opened(folder).split == "all"
        (folder / "easy.txt").write_text("c\nx\n")
        with refused("E_ID_UNKNOWN", where="x is listed"):
            opened(folder, "easy")

    def test_lists_name_ids_with_blanks(self, tmp_path: Path) -> None:
        rows = ["my dog,a,dog,0,0,1,1", "my cat,b,cat,0,0,1,1"]
        folder = table(tmp_path, rows, '[splits]\neasy = "easy.txt"\n')
        (folder / "easy.txt").write_text("my cat\n")
        assert [sample.id for sample in opened(folder, "easy").samples] == ["my cat"]
        (folder / "testset.toml").write_text(
            f'silent = "pairs.csv"\n{(folder / "testset.toml").read_text()}'
        )
        (folder / "pairs.csv").write_text("video,audio,label\nmy dog,my cat,non-sounding\n")
        (pair,) = opened(folder).silent_pairs()
        assert (pair.image, pair.audio) == ("my dog", "my cat")
        (folder / "easy.txt").write_text("../my cat\n")
        with refused("E_ID", where="line 1"):
            opened(folder, "easy")

    def test_silent_pairs_are_drawn_or_listed(self, tmp_path: Path) -> None:
        drawn = opened(table(tmp_path, ROWS)).silent_pairs()
        assert all(pair.image != pair.audio for pair in drawn)
        assert len(drawn) == 3
        content = {"boxes.csv": text(), "pairs.csv": "video,audio,label\na,b,non-sounding\n"}
        folder = describe(tmp_path, f'silent = "pairs.csv"\n{TABLE}', content)
        (pair,) = opened(folder).silent_pairs()
        assert (pair.image, pair.audio, pair.same_category) == ("a", "b", False)


def text() -> str:
    return "\n".join([HEADER, *ROWS, ""])


class TestProtocols:
    @pytest.mark.parametrize(
        ("protocol", "count"),
        [
            ("vggss", 24),
            ("concat", 22),
            ("interactive", 24),
            ("negative-audio", 96),
            ("vggss-extended", 48),
            ("retrieval", 24),
        ],
    )
    def test_pictures_of_things_with_their_own_sounds(
        self, tmp_path: Path, protocol: str, count: int
    ) -> None:
        coco(tmp_path, scenes()[0])
        assert len(open_trials(f"{protocol}@mine", tmp_path)) == count

    def test_pictures_of_things_that_sound_together(self, tmp_path: Path) -> None:
        content, _, _ = scenes(4)
        for number, one in enumerate(content["annotations"]):
            one["sound"] = f"{one['image_id']}" if one["image_id"] < 4 else f"{number}"
        coco(tmp_path, content)
        types = {trial.attributes["type"] for trial in open_trials("type-ab@mine", tmp_path)}
        assert types == {"A", "B"}
        content["annotations"] = content["annotations"][:6]
        coco(tmp_path, content)
        trials = open_trials("multi-source@mine", tmp_path)
        assert {trial.image.key for trial in trials} == {"1.bus", "2.bell", "3.drum"}

    def test_composed_trials_take_over_what_the_description_names(self, tmp_path: Path) -> None:
        winds = {name: "storm" if name in "bcf" else "calm" for name in "abcdefghij"}
        rows = [f"{name},{name},kind {name},0,0,0.5,1" for name in winds]
        table(
            tmp_path,
            [f"{row},{winds[row[0]]}" for row in rows],
            'annotation.attributes = ["wind"]\n',
            f"{HEADER},wind",
        )
        for trial in open_trials("concat@mine", tmp_path):
            assert trial.attributes["wind"] == winds[trial.targets[0].sample]
            assert trial.attributes["sounding_half"] in ("left", "right")
        for trial in open_trials("multi-source@mine", tmp_path):
            known = {"wind": winds[trial.targets[0].sample]} if trial.sounding else {}
            assert trial.attributes == known
        for trial in open_trials("negative-audio@mine", tmp_path):
            assert trial.attributes["wind"] == winds[trial.id[0]]
            assert "calibration" in trial.attributes

    def test_single_things_make_mosaics(self, tmp_path: Path) -> None:
        table(tmp_path, [*ROWS, "d,d,bus,0,0,1,1"])
        assert len(open_trials("multi-source@mine", tmp_path)) == 4


def test_the_command_line_from_a_description_to_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
    call = caller(capsys)
    data = ("--data", tmp_path)
    assert call("data", "new", "mine").err.startswith("error[E_DATA_FOLDER]")
    assert call("data", "new", "other", "--data", tmp_path / "not" / "there").code == 0
    assert (tmp_path / "not" / "there" / "other" / FILE).is_file()
    assert call("data", "new", "mine", *data, "--form", "coco").code == 0
    assert call("data", "new", "vggss", *data).err.startswith("error[E_TEST_SET_NAME]")
    content, images, sounds = scenes(4)
    folder = tmp_path / "mine"
    (folder / "annotations.json").write_text(json.dumps(content))
    add_images(folder, images)
    add_sounds(folder, sounds)
    assert "8 samples" in call("data", "verify", "mine", *data).out
    assert "annotations.json" in call("data", "layout", "mine", *data).out
    assert call("data", "show", "mine", *data, "--out", tmp_path / "x.png").code == 0
    assert call("data", "export", "mine", *data, "--out", tmp_path / "x.json").code == 0
    (tmp_path / "train.txt").write_text("1\n99\n")
    audited = call("data", "audit", tmp_path / "train.txt", "--protocol", "vggss@mine", *data)
    assert audited.code == 0, audited.err
    run = call(
        *("evaluate", "--model", "center", "--protocol", "concat@mine", *data),
        *("--out", tmp_path / "run", "--sheet", "0", "--json"),
    )
    assert run.code == 0, run.err
    assert json.loads(run.out)["protocol"]["label"] == "concat@mine:all"
    (folder / "annotations.json").write_text(json.dumps(instances({"bbox": [0, 0, 99, 1]})))
    refusal = call("evaluate", "--model", "center", "--protocol", "concat@mine", *data)
    assert (refusal.code, refusal.out) == (2, "")
    assert "annotation 0 (id 100)" in refusal.err
    assert len(problems_of(folder)) == 1


def test_images_and_sounds_can_be_made_while_some_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = table(tmp_path, ROWS)
    text = (folder / FILE).read_text()
    (folder / FILE).write_text(f'images = "pictures"\n{text}')
    (folder / "pictures").mkdir()
    assert len(problems_of(folder)) == 3
    (tmp_path / "clips").mkdir()
    asked = ("--clips", tmp_path / "clips", "--data", tmp_path, "--json")
    done = caller(capsys)("data", "prepare", "mine", *asked)
    assert done.code == 1
    assert {each["id"] for each in json.loads(done.out)["problems"]} == {"a", "b", "c"}


@pytest.mark.slow
def test_a_board_of_ones_own_has_pages_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco(tmp_path / "data", scenes()[0])
    call, board = caller(capsys), tmp_path / "board"
    data = ("--data", tmp_path / "data")
    maps = write_maps(tmp_path / "maps.npz", open_bench("concat@mine", tmp_path / "data"))
    card = write_card(tmp_path / "card.toml")
    asked = ("--protocol", "concat@mine", "--card", card, "--board", board, "--new-board", *data)
    submitted = call("submit", maps, *asked)
    assert submitted.code == 0, submitted.err
    page = board / "site" / "protocols" / "concat--mine--all.html"
    assert call("leaderboard", "build", "--board", board, *data).code == 0
    assert "My model" in page.read_text()
    checked = call("leaderboard", "check", "--board", board, *data)
    assert "1 submissions scored again and found right" in checked.out
    elsewhere = call("leaderboard", "check", "--board", board)
    assert "E_NOT_SCORED" in elsewhere.out + elsewhere.err
