"""Test sets that are described with the command that writes their annotation from released files.

The commands run here on invented files in the released form.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.testsets import definition, open_test_set
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.base import TestSet
from ssl_bench.trials.compositions import open_trials

_PYTHON = re.compile(r"^ +python - <<'END'\n(.*?)^ +END$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^( +\(echo .*?> [a-z_]+\.csv)$", re.MULTILINE | re.DOTALL)


def run_layout(name: str, root: Path) -> None:
    """Run the command that a layout gives, in the folder of the test set."""
    layout = definition(name).layout()
    folder = root / name
    python, shell = _PYTHON.search(layout), _SHELL.search(layout)
    if python is not None:
        lines = python[1].splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        command = [sys.executable, "-c", "\n".join(line[indent:] for line in lines)]
    else:
        assert shell is not None
        command = ["sh", "-c", shell[1]]
    subprocess.run(command, cwd=folder, check=True, env=dict(os.environ))


def write(root: Path, name: str, file: str, content: Any) -> None:
    path = root / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, np.ndarray):
        Image.fromarray(content).save(path)
    else:
        path.write_text(json.dumps(content))


def opened(root: Path, name: str) -> TestSet:
    """The test set, whose protocol names it and makes trials of it."""
    assert load_protocol(name).test_set.name == name
    return open_test_set(name, data=root)


def corners(test_set: TestSet, sample_id: str) -> list[list[float]]:
    annotation = test_set[sample_id].annotation
    assert isinstance(annotation, Boxes)
    found: list[list[float]] = annotation.corners.round(9).tolist()
    return found


def test_vgg_instruments(tmp_path: Path) -> None:
    name = "vgg-instruments"
    pairs = "sample0000,cello,sample0002,flute\nsample0002,flute,sample0000,cello\n"
    write(tmp_path, name, "vgginstruments_multi_test.csv", pairs)
    run_layout(name, tmp_path)
    half = np.zeros((6, 8), np.uint8)
    half[:, :4] = 255
    for sample in ("sample0000", "sample0002"):
        write(tmp_path, name, f"masks/{sample}.png", half)
    test_set = opened(tmp_path, name)
    assert test_set.truth_convention == "mask"
    mask = test_set["sample0002"].annotation
    assert isinstance(mask, Mask)
    assert mask.pixels.mean() == 0.5
    trials = open_trials(name, tmp_path)
    assert [(trial.id, trial.asked) for trial in trials][:2] == [
        ("sample0000+sample0002#one", "cello"),
        ("sample0000+sample0002#other", "flute"),
    ]


def test_vggss_duet(tmp_path: Path) -> None:
    name = "vggss-duet"
    clips = {"aaaaaaaaaaa_000010": "dog", "bbbbbbbbbbb_000020": "owl", "ccccccccccc_000000": "cat"}
    one, two, left_out = clips
    boxes = [[0.0, 0.0, 0.5, 1.0], [0.25, 0.0, 1.0, 1.0]]
    released = [{"file": clip, "class": kind, "bbox": boxes} for clip, kind in clips.items()]
    write(tmp_path, name, "vggss.json", released)
    write(tmp_path, name, "vggsound_duet_test.csv", f"{one},dog,{two},owl\n{two},owl,{one},dog\n")
    run_layout(name, tmp_path)
    test_set = opened(tmp_path, name)
    assert [sample.id for sample in test_set.samples] == [one, two]
    assert left_out not in [sample.id for sample in test_set.samples]
    assert corners(test_set, one) == boxes
    assert test_set[one].group == "aaaaaaaaaaa"
    assert len(open_trials(name, tmp_path)) == 4


def test_music_duet(tmp_path: Path) -> None:
    name = "music-duet"
    kinds = [("cello", "flute"), ("cello", "flute"), ("flute", "tuba")]
    files = ["aaaaaaaaaaa_000_00000", "aaaaaaaaaaa_000_00007", "b_b-bbbbbbb_001_00030"]
    released = [
        {
            "file": file,
            "class_src1": one,
            "bbox_src1": [0.5, 0.25, 0.25, 0.5],
            "class_src2": two,
            "bbox_src2": [0.0, 0.0, 0.5, 1.0],
        }
        for file, (one, two) in zip(files, kinds, strict=True)
    ]
    write(tmp_path, name, "music_duet.json", released)
    run_layout(name, tmp_path)
    test_set = opened(tmp_path, name)
    assert len(test_set) == 6
    first, second = test_set.samples[:2]
    assert corners(test_set, first.id) == [[0.5, 0.25, 0.75, 0.75]]
    assert (first.group, second.sound) == ("aaaaaaaaaaa", first.id)
    assert {sample.group for sample in test_set.samples} == {"aaaaaaaaaaa", "b_b-bbbbbbb"}
    asked = {trial.asked: trial.sounding for trial in open_trials(name, tmp_path).trials[:3]}
    assert asked == {"cello": True, "flute": True, "tuba": False}
    unions = open_trials("multi-source-union@music-duet", tmp_path)
    assert [len(trial.targets) for trial in unions] == [2, 2, 2]


def test_ade20k_sound_prompted(tmp_path: Path) -> None:
    name = "ade20k-sound-prompted"
    rows = [
        ("val/one.jpg", "somewhere/dog.wav", "774"),
        ("val/one.jpg", "somewhere/car.wav", "5"),
        ("val/one.jpg", "", "5"),
        ("val/one.jpg", "somewhere/dog.wav", "0"),
    ]
    path = tmp_path / name / "prompted_segmentation.csv"
    path.parent.mkdir()
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("speech_prompt_file", "image_location", "vggsound_file", "ade_class_id"))
        table.writerows(("", *row) for row in rows)
    classes = np.zeros((4, 4, 3), np.uint8)
    classes[:2, :, 0], classes[:2, :, 1] = 30, 774 - 3 * 256
    classes[3, :, 1] = 5
    write(tmp_path, name, "annotations/val/one_seg.png", classes)
    run_layout(name, tmp_path)
    test_set = opened(tmp_path, name)
    covered = {}
    for sample in test_set.samples:
        assert isinstance(sample.annotation, Mask)
        covered[sample.category] = sample.annotation.pixels.sum(axis=1).tolist()
    assert covered == {"774": [4, 4, 0, 0], "5": [0, 0, 0, 4]}
    assert len(open_trials(name, tmp_path)) == 2


def test_epic_sounding_object(tmp_path: Path) -> None:
    name = "epic-sounding-object"
    clip = "P03_105-00:01:08.04-00:01:09.19-3401-3459"
    released = [
        {"video": clip, "frame": frame, "bbox": [[0.25, 0.5, 0.5, 0.75]]} for frame in (3421, 3431)
    ]
    write(tmp_path, name, "soundingobject.json", released)
    run_layout(name, tmp_path)
    test_set = opened(tmp_path, name)
    first, second = test_set.samples
    assert first.id == "P03_105-00.01.08.04-00.01.09.19-3401-3459_3421"
    assert (first.group, second.sound_of) == ("P03_105", first.id)
    assert len(open_trials(name, tmp_path)) == 2


@pytest.mark.parametrize("scenario", ["off-screen", "single-sound"])
def test_avatar(tmp_path: Path, scenario: str) -> None:
    name = "avatar"
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 0, 20, 30]}
    written = {
        "images": [{"id": 1, "file_name": "a_0.jpg", "width": 40, "height": 30}],
        "annotations": [{**annotation, "sound": "a_0", "scenario": scenario}],
        "categories": [{"id": 1, "name": "dog"}],
    }
    write(tmp_path, name, "avatar.json", written)
    (trial,) = open_trials(name, tmp_path)
    assert trial.attributes["scenario"] == scenario
    assert corners(opened(tmp_path, name), trial.id) == [[10, 0, 30, 30]]
