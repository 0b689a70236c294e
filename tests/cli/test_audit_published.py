"""The public VGG-Sound 144k training list holds most of VGG-SS."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from ssl_bench.cli.main import commands


def test_the_public_144k_list_holds_3709_of_the_5158_clips(published_data: Path) -> None:
    training = published_data / "vggss" / "vggss_144k_train.txt.gz"
    arguments = ["data", "audit", str(training), "--protocol", "vggss", "--json"]
    done = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    facts = json.loads(done.stdout)
    assert (facts["listed"], facts["repeated"]) == (144_000, 0)
    assert (facts["same_clip"], facts["samples"]) == (3_709, 5_158)
    assert (facts["same_video_only"], facts["clean"]) == (75, 1_374)
