from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ssl_bench.testsets.synth.pinned import PINNED, check_pinned, fingerprints
from ssl_bench.testsets.synth.world import SMALLEST_VISIBLE, Scene, World, object_boxes

Scenes = dict[str, list[Scene]]


def capable(world: World, scene: Scene) -> list[int]:
    return [n for n, placed in enumerate(scene.objects) if world.kinds[placed.category].capable]


def test_pinned_images_masks_and_sounds_render_as_pinned() -> None:
    checked = dict(check_pinned())
    assert len(checked) == 3 * len(PINNED)
    assert all(checked.values()), [name for name, agrees in checked.items() if not agrees]


def test_a_fresh_process_renders_the_same_bytes(world: World) -> None:
    code = (
        "from ssl_bench.testsets.synth.pinned import fingerprints\n"
        "from ssl_bench.testsets.synth.world import World\n"
        "print(*fingerprints(World(), 'val', 123))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert tuple(found) == fingerprints(world, "val", 123)


def test_a_scene_does_not_depend_on_which_were_drawn_before(world: World) -> None:
    forward = [fingerprints(world, "train", index) for index in range(6)]
    backward = [fingerprints(World(), "train", index) for index in reversed(range(6))]
    assert forward == backward[::-1]


def test_every_scene_split_and_seed_is_another() -> None:
    rendered = [
        fingerprints(World(seed=seed, category_set=number), split, index)
        for seed, number in ((0, 0), (1, 0), (0, 1))
        for split in ("standard", "train", "val", "two-source")
        for index in range(3)
    ]
    for part in zip(*rendered, strict=True):
        assert len(set(part)) == len(rendered)


def test_every_object_shows_at_least_twenty_pixels(scenes: Scenes) -> None:
    for scene in (scene for split in scenes.values() for scene in split):
        shown = np.bincount(scene.labels.ravel(), minlength=len(scene.objects) + 1)[1:]
        assert len(shown) == len(scene.objects)
        assert shown.min() >= SMALLEST_VISIBLE


def test_some_objects_are_partly_hidden_and_their_masks_say_so(
    world: World, scenes: Scenes
) -> None:
    hidden = 0
    for scene in scenes["two-source"][:100]:
        boxes = object_boxes(scene.labels, len(scene.objects))
        for number, placed in enumerate(scene.objects):
            whole = placed.extent
            # A box of visible pixels never reaches beyond the whole object's.
            assert boxes[number, 0] >= np.floor(whole[0]) - 1
            assert boxes[number, 3] <= np.ceil(whole[3]) + 1
            hidden += boxes[number, 2] - boxes[number, 0] < whole[2] - whole[0] - 4
    assert hidden > 5


def test_in_standard_scenes_every_capable_object_sounds(world: World, scenes: Scenes) -> None:
    for scene in scenes["standard"]:
        assert list(scene.sounding) == capable(world, scene)


def test_four_of_five_standard_scenes_have_one_capable_object(world: World, scenes: Scenes) -> None:
    counts = np.bincount([len(capable(world, scene)) for scene in scenes["standard"]], minlength=4)
    np.testing.assert_allclose(counts / 400, [0, 0.80, 0.16, 0.04], atol=0.06)


def test_in_two_source_scenes_one_of_several_capable_objects_sounds(
    world: World, scenes: Scenes
) -> None:
    for scene in scenes["two-source"]:
        assert len(capable(world, scene)) in (2, 3)
        assert len(scene.sounding) == 1
        assert scene.sounding[0] in capable(world, scene)


def test_training_scenes_mix_the_three_kinds(world: World, scenes: Scenes) -> None:
    kinds = [(len(capable(world, scene)), len(scene.sounding)) for scene in scenes["train"]]
    single = np.mean([c == 1 for c, _ in kinds])
    all_sound = np.mean([c > 1 and s == c for c, s in kinds])
    one_sounds = np.mean([c > 1 and s == 1 for c, s in kinds])
    np.testing.assert_allclose([single, all_sound, one_sounds], [0.7, 0.15, 0.15], atol=0.06)


def test_interactive_scenes_come_in_pairs_that_differ_in_the_sound_alone(world: World) -> None:
    for index in range(0, 20, 2):
        first, second = world.scene("interactive", index), world.scene("interactive", index + 1)
        np.testing.assert_array_equal(world.image(first), world.image(second))
        np.testing.assert_array_equal(first.labels, second.labels)
        assert sorted(first.sounding + second.sounding) == capable(world, first)
        assert not np.array_equal(world.sound(first), world.sound(second))


def union_of_boxes(scene: Scene) -> float:
    union = np.zeros(scene.labels.shape, bool)
    for x0, y0, x1, y1 in object_boxes(scene.labels, len(scene.objects))[list(scene.sounding)]:
        union[y0:y1, x0:x1] = True
    return float(union.mean())


def test_the_half_rule_allows_as_much_as_it_was_designed_to(scenes: Scenes) -> None:
    # Marking half of the image succeeds where the union of boxes covers a quarter of it.
    ceilings = {
        split: np.mean([union_of_boxes(scene) >= 0.25 for scene in scenes[split]])
        for split in ("standard", "two-source", "interactive")
    }
    assert 0.63 < ceilings["standard"] < 0.77
    assert 0.49 < ceilings["two-source"] < 0.65
    assert 0.49 < ceilings["interactive"] < 0.70


def test_small_objects_lower_what_the_half_rule_allows() -> None:
    small = World(object_size="small")
    shares = [union_of_boxes(small.scene("two-source", index)) for index in range(150)]
    assert np.mean(np.array(shares) >= 0.25) < 0.3


def sounding(scene: Scene, numbers: Sequence[int]) -> Scene:
    objects = [
        replace(placed, sounding=number in numbers) for number, placed in enumerate(scene.objects)
    ]
    return replace(scene, objects=tuple(objects))


def test_a_sound_is_a_mixture_of_what_sounds(world: World) -> None:
    scene = world.scene("two-source", 0)
    first, second = capable(world, scene)[:2]
    alone, other, both = (
        world.sound(sounding(scene, numbers)) for numbers in ([first], [second], [first, second])
    )
    parts = np.stack([alone, other], axis=1).astype(np.float64)
    residual = np.linalg.lstsq(parts, both.astype(np.float64), rcond=None)[1][0]
    # Both together is a mixture of the two, up to the ambient noise that all three share.
    assert residual < 0.2 * (both.astype(np.float64) ** 2).sum()


def test_a_scene_without_a_source_sounds_of_its_surroundings(world: World) -> None:
    scene = world.scene("two-source", 0)
    nothing = world.sound(sounding(scene, []))
    assert np.abs(nothing.astype(int)).max() == 32767
    assert abs(np.corrcoef(nothing, world.sound(scene))[0, 1]) < 0.6


def test_type_ab_scenes_come_in_pairs_of_which_one_sounds_whole(world: World) -> None:
    sounding_alone = set()
    for index in range(0, 40, 2):
        whole, single = world.scene("type-ab", index), world.scene("type-ab", index + 1)
        assert whole.number == single.number == index // 2
        np.testing.assert_array_equal(whole.labels, single.labels)
        np.testing.assert_array_equal(world.image(whole), world.image(single))
        able = capable(world, whole)
        assert list(whole.sounding) == able
        assert len(able) >= 2
        assert len(single.sounding) == 1
        sounding_alone.add(able.index(single.sounding[0]))
    assert len(sounding_alone) > 1
