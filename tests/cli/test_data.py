"""The `data` commands, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from made_videos import Made, make_video
from PIL import Image

from ssl_bench.cli.data import data
from ssl_bench.errors import DataError
from ssl_bench.testsets import open_test_set

IDS = [f"abcdefghij{number}_{number:06d}" for number in range(3)]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(data, [str(argument) for argument in arguments])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder with three invented VGG-SS clips, complete."""
    folder = tmp_path / "data" / "vggss"
    for name in ("frames", "audio"):
        (folder / name).mkdir(parents=True)
    entries = [
        {"file": name, "class": f"kind {number}", "bbox": [[0, 0, 0.5, 1]]}
        for number, name in enumerate(IDS)
    ]
    (folder / "vggss.json").write_text(json.dumps(entries))
    (folder / "vggss_heard_test.txt").write_text(IDS[1] + "\n")
    for name in IDS:
        Image.new("RGB", (32, 24), (200, 10, 10)).save(folder / "frames" / f"{name}.jpg")
        soundfile.write(folder / "audio" / f"{name}.wav", np.full(160, 7, np.int16), 16000)
    return folder.parent


class TestLayout:
    @pytest.mark.parametrize("name", ["vggss", "flickr", "synth"])
    def test_it_prints_the_layout(self, name: str) -> None:
        result = run("layout", name)
        assert result.exit_code == 0
        assert len(result.output.splitlines()) > 1

    def test_an_unknown_name_is_answered_with_the_known_ones(self) -> None:
        result = run("layout", "imagenet")
        assert isinstance(result.exception, DataError)
        assert "vggss" in str(result.exception)


class TestVerify:
    def test_a_complete_folder_exits_with_0(self, root: Path) -> None:
        result = run("verify", "vggss", "--data", root)
        assert result.exit_code == 0
        assert "3 of 3 images are usable" in result.output
        assert result.output.splitlines()[-1].endswith("0 missing, 0 corrupt")

    def test_missing_and_corrupt_files_are_named_and_exit_with_1(self, root: Path) -> None:
        (root / "vggss" / "frames" / f"{IDS[0]}.jpg").unlink()
        (root / "vggss" / "audio" / f"{IDS[1]}.wav").write_bytes(b"RIFF")
        result = run("verify", "vggss", "--data", root)
        assert result.exit_code == 1
        lines = [line.split("\t")[:2] for line in result.output.splitlines()]
        assert ["missing", f"frames/{IDS[0]}"] in lines
        assert ["corrupt", f"audio/{IDS[1]}.wav"] in lines

    def test_videos_are_missed_where_some_are_there_or_when_they_are_asked_for(
        self, root: Path
    ) -> None:
        def told(*words: str) -> tuple[int, dict[tuple[str, str], int]]:
            result = run("verify", "vggss", "--data", root, "--json", *words)
            found = json.loads(result.output)["findings"]
            about = [each for each in found if each["item"].startswith("videos/")]
            return result.exit_code, Counter((each["level"], each["code"]) for each in about)

        assert told() == (0, {})
        missing = ("missing", "E_FILE_MISSING")
        assert told("--videos") == (1, {missing: 3, ("note", None): 1})
        videos = root / "vggss" / "videos"
        videos.mkdir()
        make_video(videos / f"{IDS[0]}.mp4", Made(count=9, layout=""))
        make_video(videos / f"{IDS[1]}.mp4", Made(count=8, layout=""))
        short = ("note", "N_VIDEO_SHORT")
        assert told() == (1, {missing: 1, short: 1, ("note", None): 1})
        whole = (videos / f"{IDS[0]}.mp4").read_bytes()
        (videos / f"{IDS[2]}.mp4").write_bytes(whole[: len(whole) // 2])
        assert told() == (1, {("corrupt", "E_VIDEO_TRUNCATED"): 1, short: 1, ("note", None): 1})
        assert told("--no-decode")[1] == {
            ("corrupt", "E_VIDEO_TRUNCATED"): 1,
            ("note", None): 1,
        }
        (videos / f"{IDS[2]}.mp4").write_bytes(whole)
        assert told() == (0, {short: 1, ("ok", None): 1})

    def test_the_folder_may_come_from_the_environment(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_BENCH_DATA", str(root))
        assert run("verify", "vggss").exit_code == 0

    def test_at_most_20_of_a_kind_are_printed_unless_all_are_asked_for(self, root: Path) -> None:
        entries = [
            {"file": f"abcdefghijk_{number:06d}", "class": "kind", "bbox": []}
            for number in range(50)
        ]
        (root / "vggss" / "vggss.json").write_text(json.dumps(entries))
        short = run("verify", "vggss", "--data", root).output.splitlines()
        assert sum(line.startswith("missing\tframes/") for line in short) == 21
        assert sum(line.startswith("missing\taudio/") for line in short) == 21
        assert any("and 30 more" in line for line in short)
        full = run("verify", "vggss", "--data", root, "--all").output.splitlines()
        assert sum(line.startswith("missing\tframes/") for line in full) == 50
        assert not any("more" in line for line in full)

    def test_json_holds_every_finding(self, root: Path) -> None:
        (root / "vggss" / "frames" / f"{IDS[0]}.jpg").unlink()
        result = run("verify", "vggss", "--data", root, "--json")
        assert result.exit_code == 1
        content = json.loads(result.output)
        assert content["test_set"] == "vggss"
        assert content["folder"] == str(root / "vggss")
        assert content["counts"]["missing"] == 1
        assert sum(content["counts"].values()) == len(content["findings"])
        assert any(
            finding["level"] == "missing" and finding["item"] == f"frames/{IDS[0]}"
            for finding in content["findings"]
        )

    def test_damage_inside_is_found_and_oddities_are_counted(
        self, root: Path, tmp_path: Path
    ) -> None:
        audio = root / "vggss" / "audio"
        bad = np.full(1600, np.nan, np.float32)
        soundfile.write(audio / f"{IDS[0]}.wav", bad, 16000, subtype="FLOAT")
        soundfile.write(audio / f"{IDS[1]}.wav", np.zeros(1600, np.int16), 16000)
        report = tmp_path / "findings.csv"
        result = run("verify", "vggss", "--data", root, "--json", "--out", report)
        assert result.exit_code == 1
        codes = json.loads(result.output)["codes"]
        expected = {"E_NOT_FINITE": 1, "N_SOUND_SILENT": 1, "N_SOUND_SHORT": 1, "N_IMAGE_FLAT": 3}
        assert expected.items() <= codes.items()
        assert f"corrupt,E_NOT_FINITE,audio/{IDS[0]}.wav," in report.read_text()
        cheap = run("verify", "vggss", "--data", root, "--no-decode")
        assert cheap.exit_code == 0
        assert "3 of 3 sounds are usable by their headers; nothing was decoded" in cheap.output

    def test_a_test_set_without_a_folder_is_missing(self, root: Path) -> None:
        result = run("verify", "flickr", "--data", root)
        assert result.exit_code == 1
        assert str(root / "flickr") in result.output

    def test_a_data_folder_that_does_not_exist_is_an_error(self, root: Path) -> None:
        result = run("verify", "vggss", "--data", root / "gone")
        assert isinstance(result.exception, DataError)
        assert str(root / "gone") in str(result.exception)

    def test_no_data_folder_at_all_is_an_error_with_a_remedy(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
        result = run("verify", "vggss")
        assert isinstance(result.exception, DataError)
        assert "--data DIR" in str(result.exception)

    def test_an_embedded_test_set_needs_no_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
        assert run("verify", "synth").exit_code == 0


class TestShow:
    def test_it_draws_a_picture_and_writes_the_sounds(self, root: Path, tmp_path: Path) -> None:
        picture, sounds = tmp_path / "out" / "sheet.png", tmp_path / "sounds"
        result = run(
            "show", "vggss", "--data", root, "--count", "2", "--out", picture, "--wav", sounds
        )
        assert result.exit_code == 0
        assert str(picture) in result.output
        with Image.open(picture) as image:
            assert image.width > 100
        assert sorted(path.name for path in sounds.iterdir()) == [f"{name}.wav" for name in IDS[:2]]
        stored, rate = soundfile.read(sounds / f"{IDS[0]}.wav", dtype="int16")
        assert rate == 16000
        np.testing.assert_array_equal(stored, np.full(160, 7))

    def test_a_split_shows_its_own_samples(self, root: Path, tmp_path: Path) -> None:
        sounds = tmp_path / "sounds"
        result = run(
            *("show", "vggss", "--data", root, "--split", "heard"),
            *("--out", tmp_path / "sheet.png", "--wav", sounds),
        )
        assert result.exit_code == 0
        assert [path.name for path in sounds.iterdir()] == [f"{IDS[1]}.wav"]

    def test_a_missing_image_is_named_and_nothing_is_written(
        self, root: Path, tmp_path: Path
    ) -> None:
        (root / "vggss" / "frames" / f"{IDS[0]}.jpg").unlink()
        result = run("show", "vggss", "--data", root, "--out", tmp_path / "sheet.png")
        assert isinstance(result.exception, DataError)
        assert IDS[0] in str(result.exception)
        assert not (tmp_path / "sheet.png").exists()


class TestExport:
    def test_the_truth_of_a_split_can_be_read_back(self, root: Path, tmp_path: Path) -> None:
        path = tmp_path / "truth.json"
        result = run("export", "vggss", "--data", root, "--split", "heard", "--out", path)
        assert result.exit_code == 0
        expected = open_test_set("vggss", "heard", data=root)
        assert json.loads(path.read_text())["info"]["ssl_bench"]["digest"] == expected.digest

    def test_an_unknown_split_is_answered_with_the_known_ones(
        self, root: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "truth.json"
        result = run("export", "vggss", "--data", root, "--split", "seen", "--out", path)
        assert isinstance(result.exception, DataError)
        assert "heard" in str(result.exception)
        assert not path.exists()


def test_importing_the_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys, ssl_bench.cli.data\n"
        "heavy = {'numpy', 'torch', 'PIL', 'matplotlib', 'pydantic', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
