"""Tables of boxes on the 224 grid: AVSBench and VPO."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from refusals import refused

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.testsets import Sample, definition, open_test_set
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.described.test_set import Described
from ssl_bench.testsets.truth import render
from ssl_bench.trials.compositions.single import compose

HEADER = "frame,audio,xmin,ymin,xmax,ymax"
S4 = [
    "test/dog/aaaaaaaaaaa/aaaaaaaaaaa_1.png,test/dog/aaaaaaaaaaa.wav,0,0,112,224",
    "test/dog/aaaaaaaaaaa/aaaaaaaaaaa_2.png,test/dog/aaaaaaaaaaa.wav,0,0,0,0",
    "test/cat/-bbbbbbbbbb/-bbbbbbbbbb_1.png,test/cat/-bbbbbbbbbb.wav,10,20,30,40",
]
MS3 = [
    "aaaaaaaaaaa_1/aaaaaaaaaaa_1.mp4_1.png,test/aaaaaaaaaaa_1.wav,0,0,223,223",
    "aaaaaaaaaaa_2/aaaaaaaaaaa_2.mp4_1.png,test/aaaaaaaaaaa_2.wav,0,0,0,0",
]
VPO = ["000000000009_11,000000000009_11,0,0,224,224", "000000000009_12,000000000009_12,5,5,9,9"]


def written(root: Path, name: str, rows: Sequence[str], header: str = HEADER) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    table = f"{name.replace('-', '_')}.csv"
    (folder / table).write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.fixture
def s4(tmp_path: Path) -> Path:
    return written(tmp_path, "avsbench-s4", S4)


def read(path: Path) -> Sequence[Sample]:
    declared = definition("avsbench-s4")
    assert isinstance(declared, Described)
    return declared.read_file(path)


def problems_of(
    root: Path, rows: Sequence[str], *codes: str, header: str = HEADER
) -> tuple[str, ...]:
    folder = written(root, "avsbench-s4", rows, header)
    with refused(*codes) as caught:
        open_test_set("avsbench-s4", data=root)
    assert isinstance(caught.value, AnnotationError)
    # The report of `data verify` is the same list.
    found = definition("avsbench-s4").verify(folder)
    assert [finding.message for finding in found] == list(caught.value.problems)
    return caught.value.problems


def test_boxes_are_whole_pixels_of_the_224_grid_and_end_exclusive(s4: Path) -> None:
    samples = open_test_set("avsbench-s4", data=s4.parent).samples
    truth = render(samples[2].annotation, "union", 224, 224)
    assert truth.sum() == 20 * 20
    assert truth[20:40, 10:30].all()
    assert render(samples[0].annotation, "union", 224, 224)[:, :112].all()


def test_an_empty_box_stays_in_the_list(s4: Path) -> None:
    sample = open_test_set("avsbench-s4", data=s4.parent)["aaaaaaaaaaa_2"]
    assert isinstance(sample.annotation, Boxes)
    assert len(sample.annotation) == 1
    assert not render(sample.annotation, "union", 224, 224).any()


def test_frames_of_one_clip_share_group_and_sound(s4: Path) -> None:
    test_set = open_test_set("avsbench-s4", data=s4.parent)
    samples = test_set.samples
    assert [sample.group for sample in samples] == ["aaaaaaaaaaa", "aaaaaaaaaaa", "-bbbbbbbbbb"]
    assert [sample.sound for sample in samples] == [
        "aaaaaaaaaaa_1",
        "aaaaaaaaaaa_1",
        "-bbbbbbbbbb_1",
    ]
    trials = list(compose(test_set))
    assert trials[0].audio == trials[1].audio
    assert trials[0].image != trials[1].image


def test_categories_are_the_folders_of_s4(s4: Path) -> None:
    samples = open_test_set("avsbench-s4", data=s4.parent).samples
    assert [sample.category for sample in samples] == ["dog", "dog", "cat"]


def test_clips_of_one_video_share_a_group_but_not_a_sound(tmp_path: Path) -> None:
    written(tmp_path, "avsbench-ms3", MS3)
    samples = open_test_set("avsbench-ms3", data=tmp_path).samples
    assert {sample.group for sample in samples} == {"aaaaaaaaaaa"}
    assert len({sample.sound for sample in samples}) == 2
    assert {sample.category for sample in samples} == {"unlabelled"}


def test_rows_of_one_photograph_share_a_group(tmp_path: Path) -> None:
    written(tmp_path, "vpo-ms", VPO, HEADER.replace("frame", "image"))
    samples = open_test_set("vpo-ms", data=tmp_path).samples
    assert {sample.group for sample in samples} == {"000000000009"}
    assert [sample.id for sample in samples] == ["000000000009_11", "000000000009_12"]
    assert len({sample.sound for sample in samples}) == 2


def media(folder: Path, image: str, audio: str, mask: str, pixels: np.ndarray) -> None:
    for path in (folder / "frames" / image, folder / "audio" / audio, folder / "masks" / mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), (1, 2, 3)).save(folder / "frames" / image)
    Image.fromarray(pixels).save(folder / "masks" / mask)
    soundfile.write(folder / "audio" / audio, np.zeros(80, np.int16), 8000)


def half_white() -> np.ndarray:
    pixels = np.zeros((4, 6), np.uint8)
    pixels[:, :3] = 255
    return pixels


def test_media_lie_under_the_names_of_the_table_whatever_their_ending(tmp_path: Path) -> None:
    folder = written(tmp_path, "avsbench-ms3", MS3[:1])
    media(
        folder,
        "aaaaaaaaaaa_1/aaaaaaaaaaa_1.mp4_1.jpg",
        "test/aaaaaaaaaaa_1.flac",
        "test/aaaaaaaaaaa_1/aaaaaaaaaaa_1_1.png",
        half_white(),
    )
    test_set = open_test_set("avsbench-ms3", data=tmp_path)
    identifier = test_set.samples[0].id
    assert test_set.image(identifier).shape == (4, 6, 3)
    assert test_set.waveform(identifier).rate == 8000
    levels = [each.level for each in definition("avsbench-ms3").verify(folder) if not each.code]
    assert levels == ["note", "ok", "ok", "ok"]  # no known revision; all files are usable


def test_masks_are_the_truth_of_their_split_at_their_own_size(tmp_path: Path) -> None:
    folder = written(tmp_path, "vpo-ss", VPO[:1], HEADER.replace("frame", "image"))
    name = "000000000009_11"
    media(folder, f"{name}.png", f"{name}.wav", f"{name}.png", half_white())
    boxes = open_test_set("vpo-ss", data=tmp_path)
    masks = open_test_set("vpo-ss", "masks", data=tmp_path)
    annotation = masks[name].annotation
    assert isinstance(annotation, Mask)
    assert annotation.pixels.shape == (4, 6)
    assert (boxes.truth_convention, masks.truth_convention) == ("union", "mask")
    assert boxes.digest != masks.digest
    assert render(annotation, "mask", 224, 224).mean() == 0.5
    assert render(annotation, "union", 224, 224).mean() == 1


def test_every_missing_or_damaged_mask_is_named(s4: Path) -> None:
    masks = s4 / "masks" / "test" / "dog" / "aaaaaaaaaaa"
    masks.mkdir(parents=True)
    Image.fromarray(half_white()).save(masks / "aaaaaaaaaaa_1.png")
    whole = (masks / "aaaaaaaaaaa_1.png").read_bytes()
    (masks / "aaaaaaaaaaa_2.png").write_bytes(whole[:40])
    with refused("E_FILE_MISSING") as caught:
        open_test_set("avsbench-s4", "masks", data=s4.parent)
    assert isinstance(caught.value, AnnotationError)
    assert [problem.partition(":")[0].rpartition("/")[2] for problem in caught.value.problems] == [
        "aaaaaaaaaaa_2.png",
        "-bbbbbbbbbb_1.png",
    ]
    levels = {
        finding.item.rpartition("/")[2]: finding.level
        for finding in definition("avsbench-s4").verify(s4)
        if finding.item.startswith("masks/")
    }
    assert levels == {"aaaaaaaaaaa_2.png": "corrupt", "-bbbbbbbbbb_1.png": "missing", "": "note"}


def test_a_mask_of_several_levels_is_refused_or_read_by_the_rule_of_a_split(tmp_path: Path) -> None:
    folder = written(tmp_path, "vpo-ss", VPO[:1], HEADER.replace("frame", "image"))
    name = "000000000009_11"
    labels = half_white() // 255
    labels[0, 0] = 200
    media(folder, f"{name}.png", f"{name}.wav", f"{name}.png", labels)
    with refused("E_MASK_LEVELS", where=f"masks/{name}.png"):
        open_test_set("vpo-ss", "masks", data=tmp_path)
    corrupt = [each for each in definition("vpo-ss").verify(folder) if each.level == "corrupt"]
    assert [each.item for each in corrupt] == [f"masks/{name}.png"]
    shares = {"masks-nonzero": 0.5, "masks-half": 1 / 24}
    digests = set()
    for split, share in shares.items():
        test_set = open_test_set("vpo-ss", split, data=tmp_path)
        annotation = test_set[name].annotation
        assert isinstance(annotation, Mask)
        assert annotation.pixels.mean() == share
        assert (test_set.truth_convention, test_set.revision) == ("mask", None)
        digests.add(test_set.digest)
    assert len(digests) == 2


def test_empty_masks_and_specks_are_noted(tmp_path: Path) -> None:
    folder = written(tmp_path, "vpo-ms", VPO, HEADER.replace("frame", "image"))
    empty, specked = np.zeros((100, 100), np.uint8), np.zeros((100, 100), np.uint8)
    specked[:50] = 255
    specked[80, [10, 30]] = 255
    for name, pixels in zip(("000000000009_11", "000000000009_12"), (empty, specked), strict=True):
        media(folder, f"{name}.png", f"{name}.wav", f"{name}.png", pixels)
    notes = {
        each.item: each.message
        for each in definition("vpo-ms").verify(folder)
        if each.level == "note" and "000000000009" in each.item
    }
    assert "mask is empty" in notes["000000000009_11"]
    assert "2 tiny regions in its mask (2 pixels)" in notes["000000000009_12"]


def test_a_huge_mask_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, "vpo-ss", VPO[:1], HEADER.replace("frame", "image"))
    name = "000000000009_11"
    media(folder, f"{name}.png", f"{name}.wav", f"{name}.png", np.zeros((1, 3000), np.uint8))
    with refused("E_MASK_SIZE", where=f"masks/{name}.png"):
        open_test_set("vpo-ss", "masks", data=tmp_path)


@pytest.mark.parametrize(
    ("row", "code", "place"),
    [
        ("a/b.png,a.wav,0,0,1", "E_CSV_FIELDS", "line 2 ('a/b.png'): "),
        ("a/b.png,a.wav,0,0,225,1", "E_SCHEMA", "line 2 ('a/b.png'): xmax: "),
        ("a/b.png,a.wav,-1,0,5,1", "E_SCHEMA", "line 2 ('a/b.png'): xmin: "),
        ("a/b.png,a.wav,0,0.5,5,1", "E_SCHEMA", "line 2 ('a/b.png'): ymin: "),
        ("a/b.png,a.wav,0,0,²,1", "E_SCHEMA", "line 2 ('a/b.png'): xmax: "),
        ("a/b.png,a.wav,0,0,zz,1", "E_SCHEMA", "line 2 ('a/b.png'): xmax: "),
        ("a/b.png,a.wav,9,0,5,1", "E_BOX_ORDER", "line 2 ('a/b.png'): "),
        ("../b.png,a.wav,0,0,5,1", "E_ID", "line 2 ('../b.png'): frame: "),
        ("/etc/b.png,a.wav,0,0,5,1", "E_ID", "line 2 ('/etc/b.png'): frame: "),
        ("a\\b.png,a.wav,0,0,5,1", "E_ID", "line 2 ('a\\\\b.png'): frame: "),
        ("b.png,../../a.wav,0,0,5,1", "E_ID", "line 2 ('b.png'): audio: "),
        ("b.png,a\x00.wav,0,0,5,1", "E_ID", "line 2 ('b.png'): audio: "),
        (f"{'b/' * 150}b.png,a.wav,0,0,5,1", "E_ID", f"line 2 ('{'b/' * 30}'): frame: "),
        ('b.png,"a.wav,0,0,5,1', "E_CSV", "line 2 "),
    ],
)
def test_a_bad_row_is_reported_with_its_line(
    tmp_path: Path, row: str, code: str, place: str
) -> None:
    found = problems_of(tmp_path, [row], code)
    assert len(found) == 1
    assert found[0].startswith(place)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    rows = ["a/b.png,a.wav,0,0,1,2", "c/b.png,a.wav,0,0,1,2", "d.png,a.wav,x,0,1,999"]
    found = problems_of(tmp_path, rows, "E_SCHEMA", "E_ID_REPEATED")
    assert [problem.split(": ")[:2] for problem in found[:2]] == [
        ["line 4 ('d.png')", "xmin"],
        ["line 4 ('d.png')", "ymax"],
    ]
    assert found[2].startswith("b ")


def test_another_table_is_not_taken_for_this_one(tmp_path: Path) -> None:
    header = HEADER.replace("frame", "image")
    assert HEADER in problems_of(tmp_path, VPO, "E_CSV_HEADER", header=header)[0]
    assert len(problems_of(tmp_path, [], "E_FILE_EMPTY")) == 1


@pytest.mark.parametrize("content", [b"", b"\xff\xfef\x00r\x00", b"frame,audio\xe9"])
def test_what_is_no_utf8_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "boxes.csv"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read(path)


@given(st.binary(max_size=300))
def test_no_bytes_bring_it_down(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "boxes.csv"
        path.write_bytes(f"{HEADER}\n".encode() + content)
        try:
            samples = read(path)
        except DataError:
            return
        assert all(isinstance(sample, Sample) for sample in samples)


def test_a_missing_table_or_folder_is_a_finding(tmp_path: Path) -> None:
    declared = definition("vpo-ms")
    assert [finding.level for finding in declared.verify(tmp_path / "none")] == ["missing"]
    (tmp_path / "vpo-ms").mkdir()
    assert declared.verify(tmp_path / "vpo-ms")[0].item == "vpo_ms.csv"
    with refused("E_FILE_MISSING", where="vpo_ms.csv"):
        open_test_set("vpo-ms", data=tmp_path)


@pytest.mark.parametrize("name", ["avsbench-s4", "avsbench-ms3", "vpo-ss", "vpo-ms"])
def test_the_layout_names_the_files(name: str) -> None:
    text = definition(name).layout()
    for part in (f"DATA/{name}/", f"{name.replace('-', '_')}.csv", "masks/", "frames/", "audio/"):
        assert part in text


def test_options_are_unknown(s4: Path) -> None:
    with refused("E_TEST_SET_OPTION"):
        open_test_set("avsbench-s4", data=s4.parent, options={"count": 3})
