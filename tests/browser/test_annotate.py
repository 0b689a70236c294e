"""The page on which clips are annotated, opened from disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browsers import DESKTOP
from PIL import Image
from playwright.sync_api import Browser

from ssl_bench.testsets.annotating.annotations import take_annotations, write_page

pytestmark = pytest.mark.browser


def test_a_clip_is_annotated_saved_and_taken(browser: Browser, tmp_path: Path) -> None:
    for name in ("frames", "audio"):
        (tmp_path / name).mkdir()
    for clip in ("one", "two"):
        Image.new("RGB", (400, 300), "teal").save(tmp_path / "frames" / f"{clip}.png")
        soundfile.write(tmp_path / "audio" / f"{clip}.wav", np.zeros(1600), 16000)
    page_file, _ = write_page(tmp_path)
    page = browser.new_page(viewport=DESKTOP)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.goto(page_file.as_uri())
    assert "Clip 1 of 2: one. Answered: 0." in page.inner_text("#where")
    page.wait_for_function("document.getElementById('picture').complete")
    frame = page.locator("#boxes").bounding_box()
    assert frame is not None
    left, top = frame["x"] + 0.25 * frame["width"], frame["y"] + 0.5 * frame["height"]
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + 0.5 * frame["width"], top + 0.25 * frame["height"], steps=3)
    page.mouse.up()
    page.fill("#category", "duck")
    page.check("input[name=type][value=B]")
    page.fill("#annotator", "ab")
    assert "Answered: 1." in page.inner_text("#where")
    page.click("#unfinished")
    assert "Clip 2 of 2" in page.inner_text("#where")
    page.check("input[name=source][value=ambient]")
    page.reload()  # what was said is still there
    assert "Answered: 2." in page.inner_text("#where")
    with page.expect_download() as started:
        page.click("#save")
    path = tmp_path / started.value.suggested_filename
    started.value.save_as(path)
    page.close()
    assert errors == []
    assert path.name == "annotations-ab.json"
    first = json.loads(path.read_text("utf-8"))["answers"][0]
    assert first["boxes"][0] == pytest.approx([0.25, 0.5, 0.75, 0.75], abs=0.01)
    taken = take_annotations(tmp_path, [path])
    assert (taken.samples, taken.left_out) == (1, {"ambient": 1})
    assert "duck" in (tmp_path / "boxes.csv").read_text("utf-8")
