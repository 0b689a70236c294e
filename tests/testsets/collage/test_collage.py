from __future__ import annotations

import csv
import hashlib
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from made_collage import CAPABLE, SILENT, make_folder
from numpy.typing import NDArray
from PIL import Image
from refusals import refused

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.testsets import definition, folder_of, open_test_set
from ssl_bench.testsets.collage import materials, sources, world
from ssl_bench.testsets.collage.layout import HIDDEN, LARGEST, SIZE, SMALLEST
from ssl_bench.testsets.collage.materials import read_cutout
from ssl_bench.testsets.collage.testset import CollageTestSet
from ssl_bench.trials.compositions import open_trials

Opened = dict[str, CollageTestSet]


def test_scenes_have_one_to_three_things_that_can_sound_and_up_to_three_others(
    opened: Opened,
) -> None:
    facts = [sample.attributes for each in opened.values() for sample in each.samples]
    assert {each["n_capable"] for each in facts} == {1, 2, 3}
    assert {each["n_silent"] for each in facts} == {0, 1, 2, 3}
    shown = {one["category"] for each in facts for one in each["objects"]}
    assert shown == {*CAPABLE, *SILENT}
    assert not any(
        one["sounding"] for each in facts for one in each["objects"] if not one["capable"]
    )


def test_splits_differ_in_what_sounds(opened: Opened) -> None:
    for split in ("standard", "unseen-cutouts"):
        assert {sample.attributes["type"] for sample in opened[split].samples} == {"A"}
    for sample in opened["two-source"].samples:
        assert sample.attributes["n_capable"] > 1
        assert sample.attributes["n_sounding"] == 1
    for first, second in zip(*[iter(opened["interactive"].samples)] * 2, strict=True):
        assert first.attributes["image"] == second.attributes["image"]
        assert (
            first.categories
            == second.categories
            == tuple(sorted((first.category, second.category)))
        )
    for first, second in zip(*[iter(opened["type-ab"].samples)] * 2, strict=True):
        assert (first.attributes["type"], second.attributes["type"]) == ("A", "B")
        assert second.category in first.category


def test_unseen_cutouts_are_shown_in_their_own_split_alone(opened: Opened) -> None:
    for split, test_set in opened.items():
        cutouts = test_set.world.sources.cutouts
        roles = {
            cutouts[thing.cutout].role
            for index in range(60)
            for thing in test_set.world.scene(split, index).things
        }
        assert ("unseen" in roles) == (split == "unseen-cutouts")
        assert ("seen" in roles) == (split != "unseen-cutouts")


def test_things_have_the_stated_sizes_and_hide_no_more_than_a_part_of_each_other(
    opened: Opened,
) -> None:
    hidden = 0.0
    for index in range(40):
        world = opened["two-source"].world
        scene = world.scene("two-source", index)
        labels = world.labels(scene)
        for number, thing in enumerate(scene.things):
            alone = np.count_nonzero(world.label_map_of((thing,)))
            assert 0.95 * SMALLEST < alone / SIZE**2 < 1.05 * LARGEST
            visible = np.count_nonzero(labels == number + 1)
            hidden = max(hidden, 1 - visible / alone)
            assert visible >= (1 - HIDDEN - 0.03) * alone
    assert hidden > 0.02  # so that the bound was put to the test


def test_a_mask_is_what_is_visible_of_all_that_sounds(opened: Opened) -> None:
    test_set = opened["two-source"]
    sample = test_set.samples[7]
    scene = test_set.world.scene("two-source", 7)
    heard = [number + 1 for number, thing in enumerate(scene.things) if thing.sounding]
    labels = test_set.world.labels(scene)
    np.testing.assert_array_equal(sample.annotation.pixels, np.isin(labels, heard))
    [box] = sample.annotation.boxes.corners.astype(int).tolist()
    rows, columns = np.nonzero(labels == heard[0])
    assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    sent = pickle.loads(pickle.dumps(sample.annotation))
    np.testing.assert_array_equal(sent.pixels, sample.annotation.pixels)


def test_nothing_but_the_rim_of_a_thing_differs_from_the_background_outside_its_mask(
    opened: Opened,
) -> None:
    test_set = opened["standard"]
    things = []
    for index in range(5):
        image = test_set.image(test_set.samples[index].id).astype(int)
        far = np.ones((SIZE, SIZE), np.bool_)
        rows, columns = np.nonzero(test_set.labels(index))
        for down in range(-2, 3):
            for right in range(-2, 3):
                far[rows + down, columns + right] = False
        # The made photographs have one colour, and grain of ten to each side is added.
        assert np.ptp(image[far], axis=0).max() <= 20
        things.append(np.ptp(image[~far], axis=0).max())
    assert max(things) > 40


@pytest.mark.slow
def test_the_same_bytes_come_out_everywhere(opened: Opened) -> None:
    sha = hashlib.sha256()
    for split, index in (("standard", 0), ("interactive", 3), ("train", 11)):
        test_set = opened[split]
        name = test_set.samples[index].id
        sha.update(test_set.image(name).tobytes())
        sha.update(test_set.labels(index).tobytes())
        sha.update(test_set.waveform(name).samples.astype("<i2").tobytes())
    assert sha.hexdigest() == "6187766e2f100a2fa206e2ab1049598b32482fd3723278ae8fbcffb90db204de"


def test_training_has_photographs_of_its_own(opened: Opened) -> None:
    def backgrounds(split: str) -> set[int]:
        images = [opened[split].image(sample.id) for sample in opened[split].samples[:20]]
        return {round((int(np.median(image[0, :, 0])) - 30) / 40) for image in images}

    assert backgrounds("standard") == {0, 2}
    assert backgrounds("train") == {1, 3}


def test_sounds_last_three_seconds_over_noise_at_ratios_between_5_and_25_db(
    opened: Opened,
) -> None:
    ratios = []
    for sample in opened["two-source"].samples[:30]:
        sound = opened["two-source"].waveform(sample.id)
        assert (sound.samples.shape, sound.rate) == ((48000, 1), 16000)
        assert abs(int(np.abs(sound.samples.astype(int)).max()) - 29491) <= 1
        power = np.abs(np.fft.rfft(sound.samples[:, 0] / 32768.0)) ** 2
        tone = 300 + 200 * CAPABLE.index(sample.category)
        near = slice(3 * (tone - 40), 3 * (tone + 40))
        ratios.append(10 * np.log10(power[near].sum() / (power.sum() - power[near].sum())))
    assert min(ratios) > 2
    assert max(ratios) < 27
    assert max(ratios) - min(ratios) > 8


def test_a_sample_depends_neither_on_the_count_nor_on_the_cache(
    data: Path, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_BENCH_CACHE", str(tmp_path))
    one = open_test_set("collage", data=data, options={"count": 3})
    other = opened["standard"]
    np.testing.assert_array_equal(one.image("standard-000002"), other.image("standard-000002"))
    assert one.digest != other.digest
    assert one.media == other.media


def test_other_seeds_and_drawn_backgrounds_give_other_scenes(data: Path, tmp_path: Path) -> None:
    own = make_folder(tmp_path)
    file = own / "collage" / "collage.toml"
    file.write_text(file.read_text().replace('"pictures"', '"drawn"'))
    drawn = open_test_set("collage", data=own, options={"count": 2})
    other = open_test_set("collage", data=data, options={"count": 2, "seed": 1})
    first = open_test_set("collage", data=data, options={"count": 2})
    assert len({drawn.digest, other.digest, first.digest}) == 3
    assert drawn.image("standard-000000").std() > 10
    assert other.samples[0].attributes != first.samples[0].attributes


@pytest.mark.parametrize(
    "asked",
    [
        "collage",
        "concat@collage",
        "interactive@collage:interactive",
        "type-ab@collage:type-ab",
        "negative-audio@collage",
        "multi-source@collage",
        "retrieval@collage",
        "vggss-extended@collage:two-source",
    ],
)
def test_protocols_run_on_it(data: Path, asked: str) -> None:
    trials = open_trials(asked, data=data)
    assert len(trials) >= 100


def test_all_that_is_missing_or_differs_is_one_error(tmp_path: Path) -> None:
    own = make_folder(tmp_path) / "collage"
    (own / "stamps" / "dog-seen.png").unlink()
    (own / "recordings" / "cat.wav").unlink()
    table = (own / "items.csv").read_text()
    table = table.replace("owl-seen.png,", f"owl-seen.png,{'0' * 16}")
    table = "\n".join(line for line in table.splitlines() if line != "sound,bell,bell.wav,")
    (own / "items.csv").write_text(table + "\n")
    with refused("E_FILE_MISSING", "E_COLLAGE_VERSION", "E_COLLAGE_ITEM", where=own) as caught:
        open_test_set("collage", data=tmp_path)
    for name in ("dog-seen.png", "cat.wav", "owl-seen.png", "bell"):
        assert name in str(caught.value)
    findings = definition("collage").verify(own)
    assert {each.level for each in findings} == {"missing", "corrupt"}


def test_what_cannot_be_read_is_found_by_verifying(tmp_path: Path) -> None:
    own = make_folder(tmp_path) / "collage"
    (own / "stamps" / "rose-salient.png").write_bytes(b"no picture")
    (own / "recordings" / "owl.wav").write_bytes(b"no sound")
    findings = definition("collage").verify(own)
    assert [each.item for each in findings if each.level == "corrupt"] == [
        "rose-salient.png",
        "owl.wav",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(np.full((1, 1), 255), id="one pixel"),
        pytest.param(np.full((1, 200), 255), id="a line"),
        pytest.param(255 * np.eye(200), id="a line across"),
        pytest.param(np.tile([255, 0, 0], (200, 60)), id="a comb"),
        pytest.param(np.zeros((50, 50)), id="empty"),
    ],
)
def test_cutouts_that_would_not_be_seen_are_refused(
    rows: NDArray[np.float64], tmp_path: Path
) -> None:
    own = make_folder(tmp_path) / "collage"
    picture = Image.new("RGBA", rows.shape[::-1], (200, 90, 30, 0))
    picture.putalpha(Image.fromarray(rows.astype(np.uint8)))
    picture.save(own / "stamps" / "dog-seen.png")
    with refused("E_COLLAGE_CUTOUT", where="dog-seen.png"):
        _ = open_test_set("collage", data=tmp_path).samples
    [finding] = [each for each in definition("collage").verify(own) if each.level == "corrupt"]
    assert finding.item == "dog-seen.png"


def test_a_cut_out_that_an_earlier_version_kept_is_read_again(
    data: Path, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_otherwise(path: Path) -> NDArray[np.uint8]:
        return np.full_like(read_cutout(path), 255)

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with monkeypatch.context() as earlier:
        earlier.setattr(world, "digest_of_code", lambda *_, **__: "0" * 64, raising=False)
        earlier.setattr(world, "read_cutout", read_otherwise)
        before = open_test_set("collage", data=data).image("standard-000000")
    now, fresh = open_test_set("collage", data=data), opened["standard"]
    assert isinstance(now, CollageTestSet)
    assert now.samples[0].attributes == fresh.samples[0].attributes
    np.testing.assert_array_equal(now.labels(0), fresh.labels(0))
    np.testing.assert_array_equal(now.image("standard-000000"), fresh.image("standard-000000"))
    assert (before != now.image("standard-000000")).any()


def test_a_cut_out_that_an_earlier_version_let_pass_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_folder(tmp_path) / "collage"
    Image.new("RGBA", (200, 1), (200, 90, 30, 255)).save(own / "stamps" / "apple-salient.png")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    with monkeypatch.context() as earlier:
        earlier.setattr(world, "digest_of_code", lambda *_, **__: "0" * 64, raising=False)
        earlier.setattr(materials, "_require_room", lambda *_: None)
        definition("collage").verify(own)
    with refused("E_COLLAGE_CUTOUT", where="apple-salient.png"):
        _ = open_test_set("collage", data=tmp_path).samples
    [finding] = [each for each in definition("collage").verify(own) if each.level == "corrupt"]
    assert finding.item == "apple-salient.png"


def test_a_picture_that_claims_any_size_is_found_by_verifying(tmp_path: Path) -> None:
    own = make_folder(tmp_path) / "collage"
    file = own / "stamps" / "dog-seen.png"
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + b"\x08\x06\x00\x00\x00"
    content = file.read_bytes()
    file.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    [finding] = [each for each in definition("collage").verify(own) if each.level == "corrupt"]
    assert finding.item == "dog-seen.png"


def test_the_split_of_unseen_cutouts_is_refused_where_none_is_named(tmp_path: Path) -> None:
    items = make_folder(tmp_path) / "collage" / "items.csv"
    lines = items.read_text().splitlines()
    items.write_text("\n".join(line for line in lines if not line.startswith("unseen")) + "\n")
    assert len(open_test_set("collage", data=tmp_path, options={"count": 2})) == 2
    with refused("E_COLLAGE_ITEM", where="collage"):
        open_test_set("collage", "unseen-cutouts", data=tmp_path)


def test_too_few_photographs_odd_counts_and_unknown_settings_are_refused(tmp_path: Path) -> None:
    own = make_folder(tmp_path) / "collage"
    with refused("E_COUNT_ODD"):
        open_test_set("collage", "interactive", data=tmp_path, options={"count": 3})
    (own / "pictures" / "4.png").unlink()
    with refused("E_COLLAGE_PHOTOGRAPHS"):
        open_test_set("collage", data=tmp_path)
    (own / "collage.toml").write_text("speed = 1\n")
    with refused(where="collage.toml"):
        open_test_set("collage", data=tmp_path)


def test_there_is_a_verdict_on_each_recording_and_none_is_speech() -> None:
    items = csv_rows(Path(sources.__file__).parent / "items.csv")
    verdicts = csv_rows(Path(__file__).parents[3] / "benchmarks" / "collage_sounds.csv")
    recordings = [(row["path"], row["category"]) for row in items if row["role"] == "sound"]
    assert [(row["path"], row["category"]) for row in verdicts] == recordings
    assert {row["verdict"] for row in verdicts} == {"named", "fits", "open"}
    spoken = [row for row in verdicts if float(row["silero_seconds"]) > 0.5]
    # A burst and six equal pulses, by its spectrogram.
    assert [row["category"] for row in spoken] == ["hippopotamus"]


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_without_a_folder_of_its_own_the_packages_are_meant(tmp_path: Path) -> None:
    declared = definition("collage")
    assert folder_of(declared, None) is None
    assert folder_of(declared, tmp_path) is None
    (tmp_path / "collage").mkdir()
    assert folder_of(declared, tmp_path) == tmp_path / "collage"
    assert "tuxpaint-stamps-default" in declared.layout()


def test_a_cut_out_of_16_bits_keeps_its_upper_8(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 40), 100 * 256 + 7, np.uint16)).save(tmp_path / "deep.png")
    assert np.unique(read_cutout(tmp_path / "deep.png")[..., :3]).tolist() == [100]
