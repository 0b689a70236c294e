"""Several protocols in one go through the command line: ``all``, a list, and a suite."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import Call

from ssl_bench.engine.encode import EngineOptions
from ssl_bench.files import content_folder
from ssl_bench.protocols.protocol import load_protocol, protocol_names
from ssl_bench.statistics import bootstrap
from ssl_bench.testsets import definition

CLIPS = [f"abcdefghij{letter}_000030" for letter in "uvwxyz"]
VGGSS = {"vggss", "vggss-extended", "vggss-heard", "vggss-unheard"}

# Brightness times loudness; what was encoded is noted beside the file.
MODEL = """
import hashlib
from pathlib import Path
import numpy as np
from ssl_bench.models.contract import Localizer

class Tiny(Localizer):
    name = "tiny"

    def note(self, kind, contents):
        with Path(__file__).with_name("encoded.txt").open("a") as stream:
            for content in contents:
                print(kind, hashlib.sha256(content.tobytes()).hexdigest(), file=stream)

    def encode_image(self, images):
        self.note("image", images)
        steps = [(image.shape[0] // 2, image.shape[1] // 2) for image in images]
        corners = [image[::y, ::x][:2, :2] for image, (y, x) in zip(images, steps)]
        return {"light": np.stack([corner.mean(axis=2, dtype="f4") for corner in corners])}

    def encode_audio(self, sounds):
        self.note("sound", [sound.samples for sound in sounds])
        return {"level": np.array([np.abs(sound.as_float()).mean() for sound in sounds], "f4")}

    def localize(self, image_features, audio_features):
        return image_features["light"] * audio_features["level"][:, None, None]

    def vision_only(self, image_features):
        return image_features["light"]

    def similarity(self, image_features, audio_features):
        return np.outer(image_features["light"].mean(axis=(1, 2)), audio_features["level"])
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "tiny.py"
    path.write_text(MODEL)
    return f"{path}:Tiny"


@pytest.fixture
def encoded(tmp_path: Path) -> Callable[[], list[str]]:
    """What the model was given since the last time that this was asked."""

    def read() -> list[str]:
        path = tmp_path / "encoded.txt"
        lines = path.read_text().splitlines()
        path.unlink()
        return lines

    return read


@pytest.fixture(autouse=True)
def shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocols and suites that ship, on 40 samples and with one floor to compare with."""
    folder = tmp_path / "content" / "protocols"
    for path in content_folder("protocols").rglob("*.toml"):
        copy = folder / path.relative_to(content_folder("protocols"))
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = re.sub(r"count = \d+", "count = 40", path.read_text())
        text = re.sub(r"priors = \[.*\]", "priors = []", text)
        copy.write_text(re.sub(r"floors = \[.+\]", 'floors = ["center"]', text))
    (folder / "suites" / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nsource = "here"\nprotocols = ["interactive", "type-ab"]\n'
    )
    monkeypatch.setattr(bootstrap, "FEWER_RESAMPLES", 10)  # no interval is read here
    places = "ssl_bench.protocols.protocol.content_folder"
    monkeypatch.setattr(places, lambda name: folder.parent / name)


@pytest.fixture
def data(tmp_path: Path, write_media: Callable[[Path, Sequence[str]], None]) -> Path:
    """Six invented clips of VGG-SS, two of them unheard."""
    folder = tmp_path / "data" / "vggss"
    write_media(folder, CLIPS)
    entries = [
        {"file": clip, "class": f"class {number}", "bbox": [[0, 0, 0.5, 1]]}
        for number, clip in enumerate(CLIPS)
    ]
    (folder / "vggss.json").write_text(json.dumps(entries))
    (folder / "vggss_heard_test.txt").write_text("\n".join(CLIPS[:4]) + "\n")
    (folder / "vggss_unheard_test.txt").write_text("\n".join(CLIPS[4:]) + "\n")
    pairs = [f"{clip},{CLIPS[number - 1]},non-sounding\n" for number, clip in enumerate(CLIPS)]
    (folder / "vggss_test_plus_silent.csv").write_text("video,audio,label\n" + "".join(pairs))
    return folder.parent


def evaluated(call: Call, model: str, protocol: str, out: Path, *further: object) -> list[Any]:
    """The results of a run, which are those in its folder too."""
    done = call(
        "evaluate", "--model", model, "--protocol", protocol, "--out", out, "--json", *further
    )
    assert done.code == 0, done.err
    documents: Any = json.loads(done.out)
    results = documents if isinstance(documents, list) else [documents]
    written = [json.loads(path.read_text()) for path in out.rglob("result.json")]
    assert sorted(written, key=label_of) == sorted(results, key=label_of)
    return results


def label_of(result: Any) -> str:
    return str(result["protocol"]["label"])


def numbers_of(result: Any) -> Any:
    return [result[name] for name in ("measures", "vision_only", "floors", "ceiling", "breakdown")]


def embedded() -> set[str]:
    return {
        name for name in protocol_names() if definition(load_protocol(name).test_set.name).embedded
    }


@pytest.mark.slow
def test_all_runs_what_is_embedded_and_what_the_data_folder_holds(
    call: Call, model: str, data: Path, tmp_path: Path, encoded: Callable[[], list[str]]
) -> None:
    together = evaluated(call, model, "all", tmp_path / "run", "--data", data, "--sheet", 0)
    assert {result["protocol"]["name"] for result in together} == embedded() | VGGSS
    assert len(together) == len(embedded() | VGGSS)
    inputs = encoded()
    sounds = [line for line in inputs if line.startswith("sound")]
    images = [line for line in inputs if not line.startswith("sound")]
    assert len(images) == len(set(images))
    # Files that differ may hold one sound: it is encoded once in each part.
    parts = -(-len(sounds) // EngineOptions().part_size)
    assert max(Counter(sounds).values()) <= parts
    assert len(sounds) < len(set(sounds)) + parts
    for name in ("interactive", "retrieval", "vggss-heard"):
        (alone,) = evaluated(call, model, name, tmp_path / name, "--data", data, "--sheet", 0)
        (same,) = (result for result in together if result["protocol"]["name"] == name)
        assert numbers_of(alone) == numbers_of(same)
    assert len(encoded()) > 0


@pytest.mark.slow
def test_a_list_with_commas_runs_each_of_them(
    call: Call, model: str, tmp_path: Path, encoded: Callable[[], list[str]]
) -> None:
    results = evaluated(call, model, "synth, concat", tmp_path / "run", "--sheet", 1)
    assert [label_of(result) for result in results] == [
        "synth@synth:standard",
        "concat@synth:standard",
    ]
    for folder in ("synth-synth-standard", "concat-synth-standard"):
        assert {path.name for path in (tmp_path / "run" / folder).iterdir()} == {
            "predictions.npz",
            "vision_only.npz",
            "scores.npz",
            "result.json",
            "trials.png",
        }
    assert sum(line.startswith("sound") for line in encoded()) == 40


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "labels"),
    [
        ("openset", ["vggss-heard@vggss:heard", "vggss-unheard@vggss:unheard"]),
        ("mine", ["interactive@synth:interactive", "type-ab@synth:type-ab"]),
    ],
)
def test_a_suite_runs_its_protocols(
    suite: str, labels: list[str], call: Call, model: str, data: Path, tmp_path: Path
) -> None:
    results = evaluated(call, model, suite, tmp_path / "run", "--data", data, "--sheet", 0)
    assert [label_of(result) for result in results] == labels


@pytest.mark.parametrize("protocol", ["synth,nowhere", "synth,vggss", "opnset"])
def test_a_mistake_in_one_of_them_leaves_nothing_behind(
    protocol: str, call: Call, model: str, tmp_path: Path
) -> None:
    done = call("evaluate", "--model", model, "--protocol", protocol, "--out", tmp_path / "run")
    assert done.code == 2
    assert done.err.startswith("error[E_")
    assert not (tmp_path / "run").exists()
