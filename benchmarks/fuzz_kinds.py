"""The kinds of files that `fuzz.py` tries: how valid ones are made, changed and read.

Each reader goes as far as a command does, and checks what it was given.
"""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import fuzz_changes as change
import numpy as np
import soundfile
import torch
from common import encode_sound, invent_vggss
from fuzz_changes import Change
from PIL import Image

from ssl_bench.errors import DataError
from ssl_bench.files import content_folder
from ssl_bench.interchange.ezvsl_ciou import read_ciou_file
from ssl_bench.interchange.map_folder import import_maps, map_file_stem, read_map
from ssl_bench.leaderboard.assessment import read_lock
from ssl_bench.leaderboard.card import TEMPLATE, read_card
from ssl_bench.leaderboard.published import read_published
from ssl_bench.leaderboard.submissions import find_submissions, input_problems
from ssl_bench.media.audio import examine_audio, probe_audio
from ssl_bench.media.image import examine_image, probe_image, read_mask
from ssl_bench.media.video import Moment, open_video, write_video
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.cards import Card
from ssl_bench.models.checkpoints import read_checkpoint, save_checkpoint
from ssl_bench.models.recipes import Recipe
from ssl_bench.predictions import PredictionsMeta, Question, check
from ssl_bench.protocols.protocol import Dialect, Protocol, load_protocol, load_suite
from ssl_bench.schemas import parse_toml, read_toml
from ssl_bench.scoring.results import read_result
from ssl_bench.scoring.retrieval import by_image, by_sound
from ssl_bench.scoring.score_file import read_scores
from ssl_bench.testsets import TestSetDefinition, definition, lists
from ssl_bench.testsets.annotations import Annotation, Boxes
from ssl_bench.testsets.described import Described, Description, read_description
from ssl_bench.testsets.described.template import FormName, template
from ssl_bench.testsets.silent import read_silent_pairs
from ssl_bench.training.given_truth import open_truth
from ssl_bench.training.neighbours import find_neighbours, read_features
from ssl_bench.training.record import read_record
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.compositions.type_ab import read_types
from ssl_bench.trials.trial_set import TrialSet

IDS = ("t0", "t1", "t2", "t3")


@dataclass(frozen=True)
class Kind:
    """A kind of file: a name, what valid ones hold, how they are changed, and how one is read.

    The first of `contents` is accepted as it is.
    `beside` writes what else a reader needs into the folder of the file, once; with `in_folder`,
    the reader takes all files of that folder.
    """

    file: str
    contents: Sequence[bytes]
    changes: Sequence[Change]
    read: Callable[[Path], object]
    beside: Callable[[Path], object] = lambda _: None
    in_folder: bool = False


def kinds() -> dict[str, Kind]:
    """All kinds, by name."""
    return dict(
        (*_predictions(), *_toml(), *_json(), *_annotations(), *_arrays(), *_weights(), *_media())
    )


def _predictions() -> Iterator[tuple[str, Kind]]:
    noise = np.random.default_rng(0)
    changes = (change.zipped(change.npz_member),) * 4 + (change.blind, change.tagged)

    def written(ids: Sequence[str] = IDS, **arrays: Any) -> bytes:
        digests = {"protocol_digest": "0" * 64, "test_set_digest": "1" * 64}
        named = {"protocol": "mine", "test_set": "mine", "model": "mine", "complete": True}
        meta = PredictionsMeta.model_validate({**named, **digests, "provenance": {"a": [1]}})
        arrays["meta"] = np.frombuffer(meta.to_bytes(), np.uint8)
        return _npz(trial_id=np.array(ids), **arrays)

    maps, two = noise.random((4, 7, 7), np.float32), noise.random((2, 7, 7)).astype(np.float16)
    contents = [
        written(map=maps, score=np.arange(4.0)),
        written(map=two, map_index=np.array([0, 1, 1, 0])),
    ]
    yield "predictions", Kind("mine.npz", contents, changes, _read_maps)
    names = ("image_embedding", "audio_embedding")
    for name, members in (
        ("embeddings", {name: noise.random((4, 5)) for name in names}),
        ("similarity", {"similarity": noise.random((4, 4), np.float32)}),
    ):
        yield name, Kind("mine.npz", [written(**members)], changes, _read_similarities)

    def siblings(folder: Path) -> None:
        for number, name in ((1, "t4"), (3, "t5")):
            path = folder / f"shard-{number}.npz"
            path.write_bytes(written([name], map=maps[:1]))

    file = "shards/shard-2.npz"
    yield "shards", Kind(file, [written(map=maps)], changes, _read_shards, siblings, True)


def _saved(ending: str, write: Callable[[Path], object]) -> bytes:
    """What `write` puts into a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"written{ending}"
        write(path)
        return path.read_bytes()


def _npz(**arrays: Any) -> bytes:
    np.savez_compressed(stream := io.BytesIO(), **arrays)
    return stream.getvalue()


def _read_maps(path: Path, ids: Sequence[str] = IDS) -> None:
    predictions = check(path, Question(ids, answers="maps"))
    places = []
    for positions, maps in predictions.iter_maps():
        assert np.isfinite(maps).all()
        places += positions.tolist()
    assert sorted(places) == list(range(len(predictions)))
    assert set(predictions.trial_ids) <= set(ids)
    assert predictions.score is None or np.isfinite(predictions.score).all()
    assert predictions.sha256


def _read_shards(path: Path) -> None:
    _read_maps(path.parent, (*IDS, "t4", "t5"))


def _read_similarities(path: Path) -> None:
    predictions = check(path, Question(IDS, answers="retrieval"))
    for blocks in (by_image(predictions), by_sound(predictions)):
        assert all(np.isfinite(values).all() for _, values in blocks)


def _toml() -> Iterator[tuple[str, Kind]]:
    changes = (change.toml_text,) * 3 + (change.text, change.blind)

    def kind(file: str, paths: Sequence[Path], read: Callable[[Path], object]) -> Kind:
        return Kind(file, [path.read_bytes() for path in paths], changes, read)

    protocols, baselines = content_folder("protocols"), content_folder("baselines")
    yield "protocol", kind("mine.toml", sorted(protocols.glob("*.toml")), _read_protocol)
    dialects = sorted(protocols.glob("dialects/*.toml"))
    yield "dialect", kind("mine.toml", dialects, partial(read_toml, model=Dialect))
    yield "suite", kind("mine.toml", sorted(protocols.glob("suites/*.toml")), load_suite)
    cards = sorted(baselines.glob("*/card.toml"))
    yield "model card", kind("card.toml", cards, partial(read_toml, model=Card))
    recipes = sorted(baselines.glob("*/recipe.toml"))
    yield "recipe", kind("recipe.toml", recipes, partial(read_toml, model=Recipe))
    template = [TEMPLATE.encode()]
    yield "card", Kind("card.toml", template, changes, read_card)
    file = "submissions/synth/your-model/card.toml"
    yield "board", Kind(file, template, changes, _read_submissions, in_folder=True)


def _read_protocol(path: Path) -> None:
    protocol = load_protocol(path)
    # Composing takes long, and only seeds and parameters of the file enter it.
    if protocol.test_set.name == "synth" and protocol.composition.kind != "single":
        small = replace_options(protocol, {"count": 6, "split": "test"})
        open_trials(small)


def replace_options(protocol: Protocol, options: dict[str, Any]) -> Protocol:
    """The protocol on another part of its test set."""
    options.pop("split")
    table = protocol.test_set.model_copy(update={"options": options})
    return protocol.model_copy(update={"test_set": table})


def _read_submissions(card: Path) -> None:
    submissions, findings = find_submissions(card.parents[3])
    findings += [each for submission in submissions for each in input_problems(submission)]
    assert all(str(each).isprintable() for each in findings)


def _json() -> Iterator[tuple[str, Kind]]:
    changes = (change.json_text,) * 3 + (change.text, change.blind)
    # Entries are no part of an installed package.
    board = Path(__file__).parent.parent / "leaderboard"
    lock = min(board.glob("submissions/*/*/lock.json"), key=lambda path: path.stat().st_size)
    result = json.dumps(json.loads(lock.read_bytes())["result"]).encode()
    record = next(content_folder("baselines").glob("*/synth.training.json")).read_bytes()
    yield "lock", Kind("lock.json", [lock.read_bytes()], changes, read_lock)
    yield "result", Kind("result.json", [result], changes, read_result)
    yield "training record", Kind("training.json", [record], changes, read_record)


_SHAPES: list[dict[str, object]] = [
    {"segmentation": [[1, 1, 9, 1, 9, 7, 1, 7]]},
    {"segmentation": {"size": [8, 10], "counts": [3, 20, 57]}},
    {"segmentation": {"size": [8, 10], "counts": "96200000000000007"}},
]
_INSTANCES = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 8}],
    "annotations": [
        {"id": n, "image_id": 1, "category_id": n, "bbox": [1, 1, 8, 6], "sound": "b.wav", **shape}
        for n, shape in enumerate(_SHAPES)
    ],
    "categories": [{"id": n, "name": name} for n, name in enumerate(("dog", "cat", "owl"))],
}


def _annotations() -> Iterator[tuple[str, Kind]]:
    in_text = (change.text, change.text, change.text, change.blind)
    in_json = (change.json_text, *in_text)
    corners = "<xmin>1</xmin><ymin>2</ymin><xmax>90</xmax><ymax>99</ymax>"
    xml = f"<annotation><object><bbox><n>0</n>{corners}</bbox></object></annotation>".encode()
    pair = {"image": "a/dog_1_dog.jpg", "audio": "b/dog_1_dog.wav", "gt_box": [0.0, 0, 112, 224]}
    clips = b"abcdefghijk,30,dog,train\nbcdefghijkl,40,cat,test\n"
    headed = b'youtube_id\tstart\tlabel\tsplit\nabcdefghijk\t30.0\t"a, b"\ttrain\n'
    box, grid = b"0,0,112,224\n", b"xmin,ymin,xmax,ymax\n"
    frames = b"frame,audio,"
    video = b"v/dog/aaaaaaaaaaa_1/aaaaaaaaaaa_1_1.png,v/dog/aaaaaaaaaaa_1.wav,"

    def vggss(path: Path) -> None:
        path.write_bytes(next(invent_vggss(path.parent, 5).rglob("vggss.json")).read_bytes())

    def opened(name: str) -> Callable[[Path], object]:
        return lambda path: _read_test_set(name, path.parent)

    def flickr(folder: Path) -> None:
        (folder.parent / "flickr_test.txt").write_text("10000130166\n")

    def flickr_xml(path: Path) -> None:
        _read_test_set("flickr", path.parents[1])

    def own(form: FormName) -> Callable[[Path], object]:
        described = parse_toml(template("mine", form).encode(), Description, form)
        return lambda path: _open_in(Described("mine", described, own=True), path.parent)

    line = b"image,sound,category,x0,y0,x1,y1\na,b,dog,0,0,0.5,1\na,c,cat,0.5,0,1,1\n"
    invented = _saved(".json", vggss)
    for name, file, content, read in (
        ("vggss", "vggss.json", invented, opened("vggss")),
        ("is3 json", "synthetic3240_bbox.json", json.dumps([pair]).encode(), opened("is3")),
        ("is3 csv", "is3.csv", b"id,image,category," + grid + b"a,p,dog," + box, opened("is3")),
        ("vpo", "vpo_ss.csv", b"image,audio," + grid + b"1_2,1_2," + box, opened("vpo-ss")),
        (
            "avsbench",
            "avsbench_s4.csv",
            frames + grid + video + box,
            opened("avsbench-s4"),
        ),
        ("own table", "boxes.csv", line, own("table")),
        ("own coco", "annotations.json", json.dumps(_INSTANCES).encode(), own("coco")),
        ("description", "testset.toml", template("mine", "coco").encode(), read_description),
        ("clip list", "list.csv", clips, _read_list),
        ("id list", "flickr_test.txt", b"1\n10000130166\n3\n", lists_of_ids),
        ("silent pairs", "pairs.csv", b"video,audio,label\na,b,non-sounding\n", _read_pairs),
        ("types", "types.csv", b"id,type\na,A\nb,B\n", read_types),
        ("truth", "truth.csv", b"id,x0,y0,x1,y1\na,0,0,0.5,1\nb,0.5,0,1,0.5\n", open_truth),
        ("cIoU file", "iou_test_av.txt", b"1,0.25\n0,0.75\n2,0.5\n", read_ciou_file),
    ):
        changes = in_json if file.endswith("json") else in_text
        contents = [content, headed] if name == "clip list" else [content]
        yield name, Kind(file, contents, changes, read)
    published = (content_folder("leaderboard") / "published.csv").read_bytes()
    some = b"".join(published.splitlines(keepends=True)[:20])
    yield "printed figures", Kind("published.csv", [some], in_text, read_published)
    in_xml = (change.xml_text, *in_text)
    file = "annotations/10000130166.xml"
    yield "flickr xml", Kind(file, [xml], in_xml, flickr_xml, flickr)
    packed = (*map(change.gzipped, in_text), change.header, change.blind)
    yield "gzip list", Kind("list.csv.gz", [gzip.compress(clips, mtime=0)], packed, _read_list)


def lists_of_ids(path: Path) -> None:
    """Read a list of one id on each line."""
    assert lists.read_id_list(path, remedy="write one id on each line")


def _read_list(path: Path) -> None:
    found = lists.read_clip_list(path)
    assert len(found.names) == len(found.labels)


def _read_pairs(path: Path) -> None:
    read_silent_pairs(path, [], remedy="get the file")


def _read_test_set(name: str, folder: Path) -> None:
    _open_in(definition(name), folder)


def _open_in(found: TestSetDefinition, folder: Path) -> None:
    opened = found.open(folder, found.splits[0], {})
    assert opened.samples
    for sample in opened.samples:
        _require_finite(sample.annotation)
    assert opened.digest


def _require_finite(annotation: Annotation | None) -> None:
    if isinstance(annotation, Boxes):
        assert np.isfinite(annotation.corners).all()


def _arrays() -> Iterator[tuple[str, Kind]]:
    noise = np.random.default_rng(1)
    in_array = (change.npy, change.npy, change.header, change.blind)
    in_zip = (change.zipped(change.npz_member),) * 3 + (change.blind, change.tagged)
    flags = {name: np.array([True, False, True]) for name in ("present", "sounding", "unscorable")}
    named = {"trial_id": np.array(["a", "b", "c"]), "group": np.array(["a", "b", "b"])}
    scores = _npz(**named, **flags, cIoU=noise.random(3), category=np.array(["x", "y", "x"]))
    yield "scores", Kind("scores.npz", [scores], in_zip, _read_scores)
    features = _npz(ids=named["trial_id"], features=noise.random((3, 4), np.float32))
    nearest = np.array([[1], [0], [1]], np.int32)
    with_nearest = _npz(ids=named["trial_id"], features=np.eye(3), neighbours=nearest)
    contents = [features, with_nearest]
    yield "features", Kind("features.npz", contents, in_zip, _read_features)
    rows = np.array([[0.1, 0.1, 0.3, 0.3, 1], [0.5, 0.5, 0.2, 0.2, 3]])
    file = "box/0001.npy"
    yield (
        "music",
        Kind(file, [_saved(".npy", lambda path: np.save(path, rows))], in_array, _read_music),
    )
    heat = noise.random((7, 7), np.float32)
    content = _saved(".npy", lambda path: np.save(path, heat))
    yield "map npy", Kind("a.npy", [content], in_array, _read_map)
    grey = Image.fromarray((255 * heat).astype(np.uint8))
    pictures = [_saved(".png", grey.save), _saved(".png", grey.convert("1").save)]
    in_png = (change.png, change.png, change.header, change.blind)
    yield "map png", Kind("a.png", pictures, in_png, _read_map)
    trials = _few_trials()
    stems = [map_file_stem(trial.id) for trial in trials]

    def others(folder: Path) -> None:
        for stem in stems[1:]:
            (folder / f"{stem}.npy").write_bytes(content)

    def import_folder(path: Path) -> None:
        out = path.parents[1] / "out.npz"
        import_maps(path.parent, trials, out, model="mine", missing_fail=True)
        _read_maps(out, trials.ids)

    changes = in_array
    yield (
        "map folder",
        Kind(f"maps/{stems[0]}.npy", [content], changes, import_folder, others, True),
    )


def _few_trials() -> TrialSet:
    protocol = load_protocol("synth")
    return open_trials(replace_options(protocol, {"count": 3, "split": "test"}))


def _read_scores(path: Path) -> None:
    table = read_scores(path)
    assert not table["trial_id"].duplicated().any()


def _read_features(path: Path) -> None:
    found = read_features(path, ("a", "b", "c"))
    assert np.isfinite(found.values).all()
    assert find_neighbours(found, found, 1).images.max() < 3


def _read_music(path: Path) -> None:
    _read_test_set("music-synthetic", path.parents[1])


def _read_map(path: Path) -> None:
    assert np.isfinite(read_map(path)).all()


def _weights() -> Iterator[tuple[str, Kind]]:
    state = {f"layer{number}.weight": torch.ones(3, 4) * number for number in range(4)}
    whole = {"model": state, "epoch": 3, "best": np.float64(1.5)}

    def torch_file(content: object, *, old: bool = False) -> bytes:
        stream = io.BytesIO()
        torch.save(content, stream, _use_new_zipfile_serialization=not old)
        return stream.getvalue()

    stretched = torch_file({"model": {"w": torch.ones(1).expand(100_000_000, 1000)}})
    in_zip = (change.zipped(change.torch_member),) * 3 + (change.blind, change.tagged)
    contents = [torch_file(whole), torch_file(state), stretched]
    yield "checkpoint", Kind("best.pth", contents, in_zip, _read_weights)
    old = [torch_file(whole, old=True)]
    in_pickle = (change.tagged, change.header, change.blind, change.text)
    yield "old checkpoint", Kind("best.pth", old, in_pickle, _read_weights)

    def save(path: Path) -> None:
        save_checkpoint(path, state, metadata={"seed": "0"})

    in_header = (change.safetensors_file, change.safetensors_file, change.header, change.blind)
    content = _saved(".safetensors", save)
    yield "safetensors", Kind("best.safetensors", [content], in_header, _read_weights)


def _read_weights(path: Path) -> None:
    checkpoint = read_checkpoint(path)
    # As a network of which no entry fits sees it.
    assert all(isinstance(value.shape, torch.Size) for value in checkpoint.tensors.values())
    json.dumps(dict(checkpoint.fields))


def _media() -> Iterator[tuple[str, Kind]]:
    noise = np.random.default_rng(2)
    pixels = noise.integers(0, 255, (40, 50, 3)).astype(np.uint8)
    picture, grey = Image.fromarray(pixels), Image.fromarray(pixels[..., 0])
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    whole = (change.tagged, change.tagged, change.header, change.blind)
    for ending, drawn in (
        (".png", (picture, grey, deep, picture.quantize(16))),
        (".jpg", (picture, grey)),
        (".webp", (picture,)),
        (".bmp", (picture, grey)),
    ):
        contents = [_saved(ending, each.save) for each in drawn]
        if ending == ".jpg":
            contents.append(_saved(ending, partial(picture.save, progressive=True)))
        if ending == ".bmp":
            contents += [_saved(other, picture.save) for other in (".gif", ".tiff", ".ppm")]
        changes = (change.png, change.png, *whole) if ending == ".png" else whole
        yield f"image {ending}", Kind(f"a{ending}", contents, changes, _read_image)
    square = Image.fromarray(np.pad(np.full((9, 9), 255, np.uint8), 5))
    masks = [_saved(".png", drawn.save) for drawn in (square, square.convert("1"))]
    in_png = (change.png, change.png, *whole)
    yield "mask", Kind("a.png", masks, in_png, _read_mask)
    sound = noise.normal(0, 0.1, (4000, 1)).clip(-1, 1)
    for ending, forms in (
        (".wav", ("PCM_16", "PCM_24", "FLOAT", "IMA_ADPCM", "GSM610")),
        (".flac", ("PCM_16", "PCM_24")),
        (".ogg", ("VORBIS",)),
        (".aiff", ("PCM_16",)),
        (".au", ("PCM_16",)),
        (".w64", ("PCM_16",)),
        (".rf64", ("PCM_16",)),
    ):
        contents = [
            _saved(ending, lambda path, form=form: soundfile.write(path, sound, 16000, form))  # type: ignore[misc]
            for form in forms
        ]
        yield f"sound {ending}", Kind(f"a{ending}", contents, whole, _read_sound)
    for ending, codec in (
        (".mp3", "mp3"),
        (".aac", "aac"),
        (".m4a", "aac"),
        (".mp4", "alac"),
        (".mkv", "pcm_s16le"),
        (".webm", "libopus"),
        (".opus", "libopus"),
    ):
        content = _saved(ending, partial(_encode, sound=sound, codec=codec))
        yield f"sound {ending}", Kind(f"a{ending}", [content], whole, _read_sound)
    shown = [(number / 25, np.roll(pixels, number, axis=1)) for number in range(10)]
    heard = Waveform((sound * 32767).astype(np.int16), 16000)
    film = _saved(".mp4", lambda path: write_video(path, shown, heard))
    yield "video", Kind("a.mp4", [film], whole, _read_video)


def _encode(path: Path, sound: np.ndarray, codec: str) -> None:
    encode_sound(path, np.float32(sound.T), codec, 48000 if codec == "libopus" else 16000)


def _read_image(path: Path) -> None:
    with suppress(DataError):
        probe_image(path)
    pixels, _ = examine_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3


def _read_mask(path: Path) -> None:
    assert read_mask(path).dtype == np.bool_


def _read_video(path: Path) -> None:
    with open_video(path) as video:
        with suppress(DataError):
            assert len(video.sound(16000, start=0.1, seconds=0.1).samples)
        assert video.picture(Moment(5, Fraction(25)), or_last=True).dtype == np.uint8
        assert video.sound(8000, 2).samples.shape[1] == 2


def _read_sound(path: Path) -> None:
    with suppress(DataError):
        probe_audio(path)
    sound, _ = examine_audio(path)
    assert len(sound.samples)
    assert np.isfinite(sound.samples).all()
    assert sound.rate > 0
