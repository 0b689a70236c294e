"""The public VGG-Sound 144k training list holds most of VGG-SS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from spellings import SPELLINGS

from ssl_bench.cli.main import commands
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.audit import audit, names_of
from ssl_bench.testsets.lists import read_clip_list
from ssl_bench.training.folder import HeldOut, overlap


def test_the_public_144k_list_holds_3709_of_the_5158_clips(published_data: Path) -> None:
    training = published_data / "vggss" / "vggss_144k_train.txt.gz"
    arguments = ["data", "audit", str(training), "--protocol", "vggss", "--json"]
    done = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    facts = json.loads(done.stdout)
    assert (facts["listed"], facts["repeated"]) == (144_000, 0)
    assert (facts["same_clip"], facts["samples"]) == (3_709, 5_158)
    assert (facts["same_video_only"], facts["clean"]) == (75, 1_374)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_all_clips_are_found_in_every_spelling(
    spelling: str, published_data: Path, tmp_path: Path
) -> None:
    samples = open_test_set("vggss", data=published_data).samples
    spelled = [SPELLINGS[spelling](each.id[:11], int(each.id[12:])) for each in samples]
    (tmp_path / "list.txt").write_text("".join(f"{name}\n" for name in spelled))
    found = audit(read_clip_list(tmp_path / "list.txt"), samples)
    assert (len(found.clips), found.videos, found.clean) == (5158, (), ())
    assert len(overlap(spelled, HeldOut("vggss", names_of(samples)))[0]) == 5158


@pytest.mark.parametrize("column", ["{start}", "{start}.0", "{start}.000,{end}.000"])
def test_all_clips_are_found_in_tables_with_a_column_of_starts(
    column: str, published_data: Path, tmp_path: Path
) -> None:
    samples = open_test_set("vggss", data=published_data).samples
    rows = []
    for each in samples:
        start = int(each.id[12:])
        rows.append(f'{each.id[:11]},{column.format(start=start, end=start + 10)},"a, b",train\n')
    (tmp_path / "list.csv").write_text("".join(rows))
    assert len(audit(read_clip_list(tmp_path / "list.csv"), samples).clips) == 5158
