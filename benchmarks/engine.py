"""What parts, workers and kept scores are worth, and how much memory many trials take.

Run ``python benchmarks/engine.py``, or ``--only processes,ray``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from alone import alone
from common import print_rows, spread
from numpy.typing import NDArray

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.packed import packed
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import Sample, TestSet

RATE, SECONDS = 16_000, 10
_FEW, _MANY = 5_000, 200_000
_WIDTH, _QUERIES = 512, 256
_MIB = 2**20


class Made(TestSet):
    """Pictures and sounds of noise, made when they are asked for: a file's worth of each."""

    name, split, revision = "made", "all", None
    truth_convention = "union"

    def __init__(self, count: int, size: tuple[int, int], samples: int) -> None:
        self._count, self._size, self._samples = count, size, samples
        self._made: Sequence[Sample] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return Made, (self._count, self._size, self._samples)

    @property
    def samples(self) -> Sequence[Sample]:
        """A box around the middle of each; two of one video, and 220 categories."""
        if not self._made:
            box = np.array([[0.2, 0.3, 0.7, 0.8]])
            self._made = packed(
                Sample(f"clip{number:07d}", f"video{number // 2}", f"{number % 220}", Boxes(box))
                for number in range(self._count)
            )
        return self._made

    @property
    def digest(self) -> str:
        """Of the number of samples: all else is fixed."""
        return hashlib.sha256(f"{self._count} {self._size} {self._samples}".encode()).hexdigest()

    def image(self, sample_id: str) -> NDArray[np.uint8]:
        """Noise that the id chooses."""
        return self._noise(sample_id, (*self._size, 3)).astype(np.uint8)

    def waveform(self, sample_id: str) -> Waveform:
        """Noise that the id chooses."""
        noise = self._noise(sample_id, (self._samples, 1)).astype(np.int16) - 128
        return Waveform(noise, RATE)

    def _noise(self, sample_id: str, shape: tuple[int, ...]) -> NDArray[np.integer[Any]]:
        generator = np.random.Generator(np.random.SFC64(int(sample_id[4:])))
        return generator.integers(0, 256, shape, np.uint8)


class Tiny(Localizer):
    """Maps of 14 x 14 values that cost nothing."""

    name = "tiny"

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """The pictures themselves."""
        return {"map": np.stack([image[:, :, 0] for image in images]).astype(np.float32)}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """How loud they are."""
        return {"level": np.array([sound.samples.std() for sound in sounds], np.float32)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """The picture, times how loud the sound is."""
        maps: NDArray[np.float32] = image_features["map"] * audio_features["level"][:, None, None]
        return maps


def full_ezvsl(device: str | None = None) -> Localizer:
    """EZ-VSL as in its paper, with random weights: they do not change its cost."""
    del device
    import torch

    from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
    from ssl_bench.models.ezvsl import EZVSL, EZVSLArchitecture, EZVSLNetwork
    from ssl_bench.models.registry import load_baseline

    torch.manual_seed(0)
    variant = load_baseline("ezvsl").variant("full")
    network = EZVSLNetwork(EZVSLArchitecture.model_validate(variant.architecture))
    return EZVSL(network, EmbeddingPreprocessing.model_validate(variant.preprocessing))


# What runs in a process of its own, and prints one JSON document at its end.


def child_predict(
    folder: Path, images: int, kind: str, workers: int, address: str
) -> dict[str, Any]:
    """Predict with full EZ-VSL; seconds from a loaded model to files, and their digest."""
    from ssl_bench.engine.encode import EngineOptions
    from ssl_bench.engine.predict import predict
    from ssl_bench.executors import Executor
    from ssl_bench.trials.compositions import compose

    # 640 x 360 pixels, and ten seconds.
    trials = compose(alone(["vggss"])[0], Made(images, (360, 640), RATE * SECONDS))
    executor = Executor(kind, workers, address=address or None)  # type: ignore[arg-type]
    options = EngineOptions(batch_size=16, part_size=16, executor=executor, parts=folder / "parts")
    model = full_ezvsl()
    started = time.perf_counter()
    before = _processor()
    [written] = predict(model, [(trials, folder / "run")], options, load=full_ezvsl)
    seconds = time.perf_counter() - started
    digest = hashlib.sha256(written.predictions.read_bytes()).hexdigest()
    return {"seconds": seconds, "digest": digest, "processor": _processor() - before}


def child_evaluate(folder: Path, protocols: Sequence[str], *, score: bool) -> dict[str, Any]:
    """Evaluate (or predict with) the small EZ-VSL; processor seconds once everything is loaded."""
    from ssl_bench.analysis.evaluation import run, run_predict
    from ssl_bench.analysis.request import Request

    request = Request("ezvsl", folder=folder / "run", overwrite=True)
    started = time.process_time()
    if score:
        run(request, protocols)
    else:
        run_predict(request, protocols)
    return {"seconds": time.process_time() - started}


def child_memory(folder: Path, count: int, stage: str) -> dict[str, Any]:
    """Predict in parts, or score what was predicted: the highest memory of the process."""
    from ssl_bench.engine.encode import EngineOptions
    from ssl_bench.engine.predict import predict
    from ssl_bench.scoring.run import ScoringOptions, score_file
    from ssl_bench.trials.compositions import compose

    started, before = time.process_time(), _now()
    trials = compose(alone(["vggss"])[0], Made(count, (14, 14), 10))
    composed = _now()
    if stage == "predict":
        # As many images in a part as 200,000 clips would be cut into by default.
        options = EngineOptions(batch_size=128, part_size=1024)
        predict(Tiny(), [(trials, folder)], options)
    else:
        score_file(folder / "predictions.npz", trials, options=ScoringOptions(use_cache=False))
    return {
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "loaded": before,
        "trials": composed - before,
        "seconds": time.process_time() - started,
    }


def child_retrieval(folder: Path, count: int) -> dict[str, Any]:
    """Score embeddings; processor seconds and memory beside those of the products alone."""
    from ssl_bench.predictions import PredictionsWriter
    from ssl_bench.protocols.protocol import load_protocol
    from ssl_bench.scoring.run import ScoringOptions, score_file
    from ssl_bench.trials.compositions import compose

    protocol = load_protocol("retrieval")
    trials = compose(protocol, Made(count, (14, 14), 10))
    generator = np.random.default_rng(0)
    path = folder / "predictions.npz"
    with PredictionsWriter(path, trials.predictions_meta("made"), compress=False) as writer:
        for start in range(0, count, 4096):
            ids = trials.ids[start : start + 4096]
            images, sounds = generator.normal(size=(2, len(ids), _WIDTH)).astype(np.float32)
            writer.add(ids, image_embedding=images, audio_embedding=sounds + images / 4)
    rates = {
        name: _products(dtype, items)
        for name, dtype, items in (
            ("single", np.float32, _QUERIES),
            ("double", np.float64, _QUERIES),
            ("single, all at once", np.float32, min(count, 20_000)),
        )
    }
    started = time.process_time()
    score_file(path, trials, options=ScoringOptions(use_cache=False))
    seconds = time.process_time() - started
    return {
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "seconds": seconds,
        # Both directions, each all with all.
        "rate": 2 * 2 * count**2 * _WIDTH / seconds,
        "rates": rates,
    }


def _products(dtype: type[np.floating[Any]], items: int) -> float:
    """Operations a second of products of blocks, one thread's processor time."""
    generator = np.random.default_rng(1)
    queries = generator.normal(size=(_QUERIES, _WIDTH)).astype(dtype)
    all_items = generator.normal(size=(20_000, _WIDTH)).astype(dtype)
    best = 0.0
    for _ in range(5):
        started = time.process_time()
        for first in range(0, len(all_items), items):
            queries @ all_items[first : first + items].T
        seconds = time.process_time() - started
        best = max(best, 2 * _QUERIES * len(all_items) * _WIDTH / seconds)
    return best


def _processor() -> float:
    """Seconds of this process, and of those that it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _now() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {
    "predict": child_predict,
    "evaluate": partial(child_evaluate, score=True),
    "model": partial(child_evaluate, score=False),
    "memory": child_memory,
    "retrieval": child_retrieval,
}


def in_child(name: str, *given: Any, threads: int = 1, cache: Path | None = None) -> dict[str, Any]:
    """What a child process finds, with so many threads for numerical libraries."""
    document = json.dumps([name, *given], default=str)
    own = {} if cache is None else {"SSL_BENCH_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--child", document],
        env=os.environ | {"OMP_NUM_THREADS": str(threads)} | own,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def predicted(
    images: int, kind: str, workers: int, threads: int, address: str = ""
) -> dict[str, Any]:
    """One run of ``child_predict`` in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return in_child("predict", folder, images, kind, workers, address, threads=threads)


def report_processes(given: argparse.Namespace) -> None:
    """Two processes against one of one thread, and against one of two."""
    ways = {
        "1 process of 1 thread": ("local", 1, 1),
        "1 process of 2 threads": ("local", 1, 2),
        "2 processes of 1 thread": ("processes", 2, 1),
    }
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(given.repeats):
        for name, way in ways.items():
            runs[name].append(predicted(given.images, *way))
    one, wide, two = ([each["seconds"] for each in runs[name]] for name in ways)
    alone, _, both = ([each["processor"] for each in runs[name]] for name in ways)
    # Another number of threads may add in another order.
    digests = {each["digest"] for name in ways if "2 threads" not in name for each in runs[name]}
    same = {each["digest"] for found in runs.values() for each in found}
    print_rows(
        f"predict, full EZ-VSL, {given.images} frames and sounds, {given.repeats} repetitions",
        [
            *((name, spread([each["seconds"] for each in runs[name]], " s")) for name in ways),
            ("2 processes against 1 of 1 thread", ratio(one, two)),
            ("2 processes against 1 of 2 threads", ratio(wide, two)),
            ("processor, 1 process of 1 thread", spread(alone, " s")),
            ("processor, 2 processes", spread(both, " s")),
            ("most that 2 processors allow", ratio([2 * each for each in alone], both)),
            ("bytes, one thread each", "equal" if len(digests) == 1 else "DIFFERENT"),
            ("bytes, with two threads", "equal" if len(same) == 1 else "others"),
        ],
    )


def report_ray(given: argparse.Namespace) -> None:
    """Two Ray nodes on this machine against one, and the bytes of this process alone."""
    runs: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for _ in range(given.repeats):
        for nodes, found in runs.items():
            with cluster(nodes) as (address, _):
                found.append(predicted(given.images, "ray", nodes, 1, address))
    own = predicted(given.images, "local", 1, 1)
    one, two = ([each["seconds"] for each in runs[nodes]] for nodes in runs)
    digests = {each["digest"] for found in (*runs.values(), [own]) for each in found}
    print_rows(
        f"predict on Ray, full EZ-VSL, {given.images} frames, {given.repeats} repetitions",
        [
            ("one node of one processor", spread(one, " s")),
            ("two nodes", spread(two, " s")),
            ("two against one", ratio(one, two)),
            ("this process", f"{own['seconds']:.3g} s"),
            ("bytes", "equal" if len(digests) == 1 else "DIFFERENT"),
        ],
    )


@contextmanager
def cluster(nodes: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Ray's own head, and further nodes, each of one processor, on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    folder = Path(tempfile.gettempdir()) / f"r{os.getpid():x}"
    ray = str(Path(sys.executable).parent / "ray")
    common = ["--num-cpus=1", "--block", "--disable-usage-stats"]
    port = address.rpartition(":")[2]
    head = [f"--port={port}", "--head", f"--temp-dir={folder}", "--include-dashboard=false"]
    started: list[subprocess.Popen[bytes]] = []
    # Whoever joins proves, with the file that Ray writes for a user, to be the same user.
    os.environ["RAY_AUTH_MODE"] = "token"
    try:
        for number in range(nodes):
            role = [f"--address={address}"] if number else head
            started.append(
                subprocess.Popen(
                    [ray, "start", *role, *common],
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
            if not number:
                _wait_for_head(address)
        _wait_for_nodes(address, nodes)
        yield address, started
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_head(address: str) -> None:
    host, _, port = address.rpartition(":")
    for _ in range(600):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the head of the Ray cluster does not start")


def _wait_for_nodes(address: str, nodes: int) -> None:
    code = (
        "import ray, time\n"
        f"ray.init(address={address!r}, log_to_driver=False)\n"
        f"while sum(each['Alive'] for each in ray.nodes()) < {nodes}: time.sleep(0.2)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True)


def report_warm(given: argparse.Namespace) -> None:
    """The second evaluation on a protocol against the first, and against the model's own passes."""
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name), Path(name) / "cache"
        in_child("evaluate", folder, ["synth"], cache=cache)  # draws the embedded world
        rows: dict[str, list[float]] = {"first": [], "second": [], "model": []}
        for _ in range(given.repeats):
            for kept in ("priors", "scores"):
                shutil.rmtree(cache / kept, ignore_errors=True)
            for key, child in (("first", "evaluate"), ("second", "evaluate"), ("model", "model")):
                rows[key].append(in_child(child, folder, ["synth"], cache=cache)["seconds"])
        first, second, model = rows.values()
        print_rows(
            f"evaluate on synth, small EZ-VSL, processor seconds, {given.repeats} repetitions",
            [
                ("the first evaluation", spread(first, " s")),
                ("the second", spread(second, " s")),
                ("predict alone", spread(model, " s")),
                ("second against first", ratio(second, first)),
                ("second against predict", ratio(second, model)),
            ],
        )


def report_suite(given: argparse.Namespace) -> None:
    """All protocols of the embedded world in one go against one after the other."""
    from ssl_bench.protocols.protocol import load_protocol, protocol_names

    names = [each for each in protocol_names() if load_protocol(each).test_set.name == "synth"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = folder / "cache"
        in_child("evaluate", folder, names, cache=cache)  # fills the cache
        together, apart = [], []
        for _ in range(given.repeats):
            together.append(in_child("evaluate", folder, names, cache=cache)["seconds"])
            each = {n: in_child("evaluate", folder, [n], cache=cache)["seconds"] for n in names}
            apart.append(sum(each.values()))
        shares = ", ".join(f"{n} {seconds:.2g}" for n, seconds in each.items())
        print_rows(
            f"{len(names)} protocols of synth, warm, processor seconds, {given.repeats} times",
            [
                ("in one go", spread(together, " s")),
                ("one after the other", spread(apart, " s")),
                ("in one go against the sum", ratio(together, apart)),
                ("each, last repetition", shares),
            ],
        )


def report_memory(given: argparse.Namespace) -> None:
    """Peak memory of predicting and scoring many trials against few."""
    rows = []
    for stage in ("predict", "score"):
        found = []
        for count in (_FEW, given.trials):
            with tempfile.TemporaryDirectory() as name:
                if stage == "score":
                    in_child("memory", name, count, "predict")
                found.append(in_child("memory", name, count, stage))
        few, many = found
        further = given.trials - _FEW
        rows += [
            (f"{stage}, {count:,} trials", _memory(each))
            for count, each in zip((_FEW, given.trials), found, strict=True)
        ]
        rows += [
            (f"{stage}, many against few", f"{many['peak'] / few['peak']:.3g} x"),
            (
                f"{stage}, each further trial",
                f"{(many['peak'] - few['peak']) / further:,.0f} bytes, of which the trial "
                f"{(many['trials'] - few['trials']) / further:,.0f}",
            ),
        ]
    print_rows("Peak memory of a process, maps of 14 x 14", rows)


def _memory(found: dict[str, Any]) -> str:
    peak, loaded, trials = (found[key] / _MIB for key in ("peak", "loaded", "trials"))
    parts = f"libraries {loaded:.0f}, trials {trials:.0f}"
    return f"{peak:.0f} MiB ({parts}), processor {found['seconds']:.3g} s"


def report_retrieval(given: argparse.Namespace) -> None:
    """Scoring of embeddings against the products of blocks that it consists of."""
    with tempfile.TemporaryDirectory() as name:
        found = in_child("retrieval", name, given.items)
    rates = found["rates"]
    print_rows(
        f"Retrieval, {given.items:,} images and sounds of {_WIDTH} features, one thread",
        [
            ("peak memory", f"{found['peak'] / _MIB:,.0f} MiB"),
            ("processor seconds of scoring", f"{found['seconds']:.3g} s"),
            ("rate of scoring", f"{found['rate'] / 1e9:.3g} GFLOP/s"),
            *((f"rate of products, {key}", f"{rates[key] / 1e9:.3g} GFLOP/s") for key in rates),
            *(
                (f"scoring against products, {key}", f"{found['rate'] / rates[key]:.0%}")
                for key in rates
            ),
        ],
    )


def ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """Ratio of medians."""
    return f"{statistics.median(above) / statistics.median(below):.3g} x"


REPORTS = {
    "processes": report_processes,
    "ray": report_ray,
    "warm": report_warm,
    "suite": report_suite,
    "memory": report_memory,
    "retrieval": report_retrieval,
}


def machine() -> str:
    """What the figures were measured on."""
    found = []
    for name in ("numpy", "torch", "joblib", "ray"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    processors = len(os.sched_getaffinity(0))
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _lines("/proc/cpuinfo")
            if "model name" in line
        ),
        platform.machine(),
    )
    load = f"load {os.getloadavg()[0]:.1f}"
    return f"{processors} processors ({model}), {load}; Python {platform.python_version()}, " + (
        ", ".join(found)
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def main() -> None:
    """Print a table for each report that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(REPORTS), help="reports, with commas between")
    parser.add_argument("--images", type=int, default=512, help="of processes and ray")
    parser.add_argument("--trials", type=int, default=_MANY, help="of memory")
    parser.add_argument("--items", type=int, default=100_000, help="of retrieval")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        name, folder, *rest = json.loads(given.child)
        print(json.dumps(CHILDREN[name](Path(folder), *rest)))
        return
    print(machine())
    for name in given.only.split(","):
        REPORTS[name](given)


if __name__ == "__main__":
    main()
