from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_bench.testsets.rendered import (
    PARTS,
    ArrayCache,
    ChunkReader,
    iterate_chunks,
    load_or_render,
)
from ssl_bench.testsets.synth.world import CHUNK, World


def test_a_chunk_holds_what_the_world_renders(world: World) -> None:
    chunk = world.render("two-source", 1, PARTS)
    for row in (0, 17, CHUNK - 1):
        scene = world.scene("two-source", CHUNK + row)
        np.testing.assert_array_equal(chunk["truth"]["labels"][row], scene.labels)
        np.testing.assert_array_equal(chunk["images"]["images"][row], world.image(scene))
        np.testing.assert_array_equal(chunk["sounds"]["sounds"][row], world.sound(scene))
        categories = [placed.category for placed in scene.objects]
        padding = [-1] * (5 - len(categories))
        assert chunk["truth"]["category"][row].tolist() == categories + padding
        assert tuple(np.flatnonzero(chunk["truth"]["sounding"][row])) == scene.sounding


def test_a_damaged_cache_file_is_rendered_again(world: World, tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    whole = load_or_render(world, "val", 0, ("truth",), cache)["truth"]
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    path.write_bytes(path.read_bytes()[:1000])
    again = load_or_render(world, "val", 0, ("truth",), cache)["truth"]
    np.testing.assert_array_equal(whole["labels"], again["labels"])
    assert cache.load(path.relative_to(tmp_path).as_posix().removesuffix(".npz.sum")) is not None


def test_what_is_cached_is_not_rendered_again(world: World, tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    load_or_render(world, "val", 0, ("truth",), cache)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    name = path.relative_to(tmp_path).as_posix().removesuffix(".npz.sum")
    cache.store(name, {"marked": np.ones(1)})
    assert set(load_or_render(world, "val", 0, ("truth",), cache)["truth"]) == {"marked"}


def test_worlds_do_not_share_cache_files(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    for world in (World(), World(seed=1), World(category_set=1), World(object_size="small")):
        load_or_render(world, "val", 0, ("truth",), cache)
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 4


def test_the_last_chunk_is_cut_and_progress_is_told(world: World, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    chunks = iterate_chunks(
        world,
        "val",
        70,
        ("truth",),
        ArrayCache(tmp_path),
        progress=lambda done, total: told.append((done, total)),
    )
    assert [len(chunk["truth"]["labels"]) for chunk in chunks] == [50, 20]
    assert told == [(50, 70), (70, 70)]


def test_single_samples_are_read_in_any_order(world: World, tmp_path: Path) -> None:
    reader = ChunkReader(world, "standard", ArrayCache(tmp_path))
    for index in (60, 3, 59, 60):
        scene = world.scene("standard", index)
        np.testing.assert_array_equal(reader.row("images", index)["images"], world.image(scene))
