"""The packages of Debian, where they are installed."""

from __future__ import annotations

import hashlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.collage import sources
from ssl_bench.testsets.collage.materials import read_cutout, read_sound
from ssl_bench.testsets.collage.sources import INSTALL, read_sources

pytestmark = pytest.mark.skipif(
    not Path("/usr/share/tuxpaint/stamps/animals").is_dir()
    or not Path("/usr/share/wallpapers/Path").is_dir()
    or not Path("/usr/share/backgrounds/mate/nature").is_dir(),
    reason=f"needs the packages that collage is made of: {INSTALL}",
)


def test_every_file_of_the_tables_is_there_as_it_was_looked_through() -> None:
    found = read_sources(None)
    assert len(found.categories) == 60
    assert (len(found.cutouts), len(found.sounds), len(found.photographs)) == (176, 67, 25)


def test_every_recording_is_heard_and_none_is_spoken() -> None:
    for category, sound in read_sources(None).sounds:
        assert "_desc" not in sound.path.name
        samples = read_sound(sound.path)
        assert len(samples) >= 1600, category
        assert np.abs(samples).max() > 80, category


def test_cutouts_are_photographs_and_no_drawings_of_few_colours() -> None:
    for cutout in read_sources(None).cutouts[::4]:
        pixels = read_cutout(cutout.file.path)
        colours = np.unique(pixels[pixels[..., 3] > 0][:, :3] // 8, axis=0)
        assert len(colours) > 60, cutout.file.path


def test_another_version_says_all_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = (Path(sources.__file__).parent / "items.csv").read_text()
    lines = table.splitlines()
    changed = [f"{line.rpartition(',')[0]},{'0' * 16}" for line in lines[1:4]]
    gone = lines[4].replace(".ogg", "-gone.ogg").replace(".png", "-gone.png")
    (tmp_path / "items.csv").write_text("\n".join([lines[0], *changed, gone, *lines[5:]]) + "\n")
    (tmp_path / "collage.toml").write_text('items = "items.csv"\n')
    with refused("E_COLLAGE_VERSION", "E_FILE_MISSING") as caught:
        read_sources(tmp_path)
    for line in lines[1:4]:
        assert line.split(",")[2] in str(caught.value)


def test_the_first_scenes_are_the_pinned_ones() -> None:
    test_set = open_test_set("collage", options={"count": 2})
    labels = hashlib.sha256(b"".join(each.annotation.pixels.tobytes() for each in test_set.samples))
    assert test_set.samples[0].category == "bear"
    assert labels.hexdigest() == "991301c144c9edb2e8f12563dbd5556ed5082d2c4cced0872a7b69d26a44c742"


@pytest.mark.slow
def test_borders_of_things_never_seen_do_not_tell_what_sounds() -> None:
    import borders

    collected = {
        split: borders.collect(open_test_set("collage", split, options={"count": 250}))
        for split in ("train", "standard", "two-source")
    }
    for split, form in product(("standard", "two-source"), borders.FORMS):
        asked = collected[split]
        found = borders.chances(collected["train"], asked, form, groups=5)
        answers = {"all": borders.rightly(asked, found)}
        for role in ("look-alike", "salient") if split == "standard" else ():
            answers[role] = borders.ahead_of(role, asked, found)
        for against, each in answers.items():
            # Noise is nearest to telling salient things. Of so few scenes, an interval is 8 to 12
            # points to each side.
            near = split == "standard" and form == "noise" and against != "look-alike"
            assert each.low <= each.guess + 0.02 * near, (split, form, against)
