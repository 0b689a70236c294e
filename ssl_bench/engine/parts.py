"""A run as a list of parts: ranges of distinct sounds, then of distinct images with their trials.

A part is written whole, under what decides it: the model, the trials, the options and the files
that it is made of. A run that is started again takes the parts that are there, and makes the same
predictions as one that was never interrupted.
"""

from __future__ import annotations

import fcntl
import inspect
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ssl_bench.arrays import DAMAGE, read_arrays
from ssl_bench.engine.encode import (
    EncodedSounds,
    EngineOptions,
    LocalizedBatch,
    answer,
    encode_sounds,
)
from ssl_bench.engine.plan import Plan
from ssl_bench.engine.store import Store
from ssl_bench.errors import DataError, ModelError, ProblemsError
from ssl_bench.files import (
    atomic_path,
    cache_folder,
    digest_of_code,
    replaced_folder,
    sha256_of_file,
    sha256_of_json,
)
from ssl_bench.media.check import mark_of_file
from ssl_bench.models.contract import Localizer
from ssl_bench.models.provenance import describe

Load = Callable[[str | None], Localizer]
"""Makes the localizer again in another process, on a device of it (None: where it was)."""

CODE = (
    *("models", "engine", "media", "testsets", "trials", "predictions", "arrays.py"),
    "measures/interpolation.py",
)
"""The code that decides the maps of a model of this package."""

CONTENT = ("baselines",)
"""The recipes that decide them too."""

LIBRARIES = ("numpy", "scipy", "torch", "pillow", "simplejpeg", "soundfile", "av")
"""Libraries that decide them too."""


def localize_in_parts(
    localizer: Localizer, plan: Plan, options: EngineOptions, load: Load, folder: Path
) -> Generator[tuple[int, LocalizedBatch]]:
    """Localize all trials of a plan, on the workers of the executor, as ``localize`` does.

    Parameters
    ----------
    localizer, load
        The model, and how another process makes it.
    folder
        Where finished parts are, and are put: shared by all machines that work.

    Raises
    ------
    SslBenchError
        As ``localize``; or if a worker dies. Finished parts stay.
    """
    local = options.executor.kind == "local"
    # Nothing is reported about one part among many while it is made.
    quiet = replace(options, progress=_silent)
    parts = _Parts(plan, options if local else quiet, folder)
    names = [*parts.sounds, *parts.images]
    count, workers = len(names), options.executor.workers
    working = "parts" if workers == 1 else f"parts, {workers} workers"
    kept = sum(parts.there(name) for name in names)
    if kept:
        options.notify(f"{kept:,} of {count:,} parts are taken from an earlier run")
    setup = here = partial(_here, parts, localizer)
    if not local:
        elsewhere = replace(quiet, notify=_silent)
        weights = _weights(describe(localizer))
        setup = partial(_worker, load, weights, plan.sets, plan.vision_only, elsewhere, folder)
    with ExitStack() as stack:
        run: list[Callable[[Sequence[Any]], Iterator[Any]]] = []

        def done(names: dict[str, range], what: str, size: int) -> Iterator[str]:
            """Names of parts in order, as they are there; those that lack are made."""
            left = [name for name in names if not parts.there(name)]
            if left and not run:
                workers = options.executor.open(
                    setup, here=here, name=parts.called, notify=options.notify
                )
                run.append(stack.enter_context(workers))
            made = run[0](left) if left else iter(())
            ready = set(names) - set(left)

            def tell() -> None:
                if not local:
                    options.progress(what, sum(len(names[each]) for each in ready), size)
                options.progress(working, before + len(ready), count)

            before = 0 if what == "sounds" else len(parts.sounds)
            if left:
                tell()  # The time of the first part counts
            for name in names:
                while name not in ready:
                    place, notes = next(made)
                    ready.add(left[place])
                    for note in notes:
                        options.notify(note)
                    tell()
                yield name

        for _ in done(parts.sounds, "sounds", len(plan.sounds)):
            pass
        parts.join_sounds(localizer)
        for name in done(parts.images, "images", len(plan.images)):
            yield from parts.batches(localizer, name)


def parts_folder(localizer: Localizer, plan: Plan, options: EngineOptions) -> Path | None:
    """Where the parts of such a run are; None for a model whose identity is not known."""
    identity = _identity(localizer)
    if identity is None:
        return None
    key = [
        digest_of_code(CODE, content=CONTENT, libraries=LIBRARIES),
        [identity, describe(localizer)],
        [
            [
                *(each.digest, each.full_digest, each.test_set.digest),
                *(repr(each.test_set.media), each.protocol.answers),
            ]
            for each in plan.sets
        ],
        plan.vision_only,
        [options.batch_size, options.part_size],
        *([] if plan.video is None else [asdict(plan.video)]),
    ]
    folder = options.parts if isinstance(options.parts, Path) else cache_folder("parts")
    return folder / sha256_of_json(key)


def store_of(folder: Path, options: EngineOptions) -> Store | None:
    """Where machines share the parts of a folder, if not there."""
    if not isinstance(options.parts, str):
        return None
    return Store(f"{options.parts.rstrip('/')}/{folder.name}")


def discard(folder: Path, store: Store | None = None) -> None:
    """Remove parts that nobody needs; they stay where another run of them is going on."""
    if store is not None:
        store.remove()
    with suppress(OSError), _opened(folder) as opened:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)


@contextmanager
def in_use(folder: Path) -> Iterator[Path]:
    """Keep another run of the same parts from removing them, where the file system has locks."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(_opened(folder))
                with suppress(OSError):
                    fcntl.flock(opened, fcntl.LOCK_SH)
                there = os.path.samestat(os.fstat(opened), folder.stat())
            except FileNotFoundError:
                there = False
            # Another run may have removed it before it was locked.
            if there:
                yield folder
                return


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield opened
    finally:
        os.close(opened)


def _identity(localizer: Localizer) -> list[Any] | None:
    """The code of a localizer, and of those that it holds; None where that is not known."""
    kind = type(localizer)
    if not getattr(kind, "code_is_known", True):
        return None
    found: list[Any] = [kind.__module__, kind.__qualname__]
    if kind.__module__.split(".")[0] != "ssl_bench":
        try:
            folder = Path(inspect.getfile(kind)).parent
        except (OSError, TypeError):
            return None
        if localizer.provenance is None:
            return None
        # What a class imports from beside it decides its maps, too.
        files = {str(getattr(each, "__file__", None)) for each in list(sys.modules.values())}
        beside = sorted(
            file for file in files if file.endswith(".py") and Path(file).is_relative_to(folder)
        )
        found += [sha256_of_file(Path(file)) for file in beside]
    held = [_identity(each) for each in vars(localizer).values() if isinstance(each, Localizer)]
    return None if None in held else [*found, held]


def _silent(*_given: object) -> None:
    """Tell nobody."""


def _here(parts: _Parts, localizer: Localizer, device: str | None) -> Callable[[str], list[str]]:
    """What makes one part after the other in this process, with what there is."""
    del device  # The localizer is where it should be

    def make(name: str) -> list[str]:
        parts.make(localizer, name)  # Tells a user itself
        return []

    return make


def _weights(facts: Mapping[str, Any]) -> list[Any]:
    """The weights of a localizer, and of those that it is made of, as provenance has them."""
    return [facts["weights_sha256"], *(_weights(each) for each in facts["parts"])]


def _worker(
    load: Load,
    weights: list[Any],
    sets: Sequence[Any],
    vision_only: Sequence[bool],
    options: EngineOptions,
    folder: Path,
    device: str | None,
) -> Callable[[str], list[str]]:
    """What makes one part after the other, and returns what a user should know of it."""
    localizer = load(device)
    if _weights(describe(localizer)) != weights:
        raise ModelError(
            f"a worker loaded other weights of {localizer.name} than were described",
            code="E_WORKER_MODEL",
            remedy="let no other program change the weights file, which all machines must share",
        )
    plan = Plan(sets, vision_only, listens=not localizer.audio_blind, video=localizer.video_input)
    if store_of(folder, options) is not None:
        folder = cache_folder("parts", folder.name)  # Of this machine
    notes: list[str] = []
    parts = _Parts(plan, replace(options, notify=notes.append), folder)

    def make(name: str) -> list[str]:
        notes.clear()
        parts.make(localizer, name)
        return list(notes)

    return make


def _content(file: Path) -> str | None:
    with suppress(OSError):
        return sha256_of_file(file)
    return None


def _joined(batches: Sequence[LocalizedBatch], localizer: Localizer) -> dict[str, NDArray[Any]]:
    """Arrays of batches of one protocol, one after the other."""
    arrays = {"ids": np.concatenate([batch.trial_ids for batch in batches])}
    for key in ("maps", "blind_maps", "similarity"):
        values = [found for batch in batches if (found := getattr(batch, key)) is not None]
        sizes = sorted({each.shape[1:] for each in values})
        if len(sizes) > 1:
            raise ModelError(
                f"{localizer.name} returned maps of {sizes[0]} and of {sizes[1]} values",
                code="E_MODEL_MAPS",
                remedy="return maps of one size",
            )
        if values:
            arrays[key] = np.concatenate(values)
    shown = [0 if batch.blind_maps is None else len(batch.blind_maps) for batch in batches]
    starts = np.cumsum([0, *shown[:-1]])
    arrays["blind_index"] = np.concatenate(
        [batch.blind_index + start for batch, start in zip(batches, starts, strict=True)]
    )
    return arrays


class _Parts:
    """The parts of one plan, by name, in a folder."""

    def __init__(self, plan: Plan, options: EngineOptions, folder: Path) -> None:
        self._plan, self._options, self._folder = plan, options, folder
        self._store = store_of(folder, options)
        self.sounds = self._ranges("sounds", len(plan.sounds))
        self.images = self._ranges("images", len(plan.images))
        self._digests: dict[str, str] = {}
        self._checked = False  # Whether the features of all sounds are known to be whole

    def _ranges(self, kind: str, count: int) -> dict[str, range]:
        size = max(self._options.part_size, self._options.batch_size)
        size -= size % self._options.batch_size
        return {
            f"{kind}-{start // size:05d}": range(start, min(start + size, count))
            for start in range(0, count, size)
        }

    def called(self, name: str) -> str:
        """What a user knows a part by: its place among all, and what it is made of."""
        kind, names, sources = (
            ("sounds", self.sounds, self._plan.sounds)
            if name in self.sounds
            else ("images", self.images, self._plan.images)
        )
        span = names[name]
        first, last = (sources[place].recipe.key for place in (span[0], span[-1]))
        return (
            f"part {list(names).index(name) + 1} of {len(names)} of the {kind} "
            f"({span.start + 1:,} to {span.stop:,}, {first} to {last})"
        )

    def there(self, name: str) -> bool:
        """Whether a part is there, and made of what is there now."""
        path = self._folder / f"{name}.npz"
        if self._fits(path):
            return True
        return self._store is not None and self._store.fetch(path) and self._fits(path)

    def _fits(self, path: Path) -> bool:
        try:
            with zipfile.ZipFile(path) as archive:
                return archive.comment.decode() == self._made_of(path.stem)
        except DAMAGE:
            return False

    def make(self, localizer: Localizer, name: str) -> None:
        """Make one part, unless another worker has made it meanwhile."""
        if self.there(name):
            return
        try:
            arrays = self._made(localizer, name)
        except DataError as error:
            if isinstance(error, ProblemsError):
                raise
            problem = f"{error.problem} ({self.called(name)})"
            raise DataError(
                problem, code=error.code, where=error.where, remedy=error.remedy
            ) from error
        self._write(name, arrays)

    def _made(self, localizer: Localizer, name: str) -> dict[str, NDArray[Any]]:
        if name in self.sounds:
            span = self.sounds[name]
            told, size = self._options.progress, len(self._plan.sounds)
            options = replace(
                self._options, progress=lambda what, done, _all: told(what, span.start + done, size)
            )
            made = encode_sounds(localizer, self._plan.sounds[span.start : span.stop], options)
            arrays = {f"feature {key}": np.asarray(each) for key, each in made.features.items()}
            return {**arrays, "rows": made.rows}
        if self._store is not None:
            self.join_sounds(localizer)  # On this machine
        found: dict[int, list[LocalizedBatch]] = {}
        for number, batch in answer(
            localizer, self._plan, self.images[name], self._joined_sounds, self._options
        ):
            found.setdefault(number, []).append(batch)
        arrays = {}
        for number, batches in found.items():
            arrays |= {
                f"{number} {key}": values for key, values in _joined(batches, localizer).items()
            }
        return arrays

    def batches(self, localizer: Localizer, name: str) -> Iterator[tuple[int, LocalizedBatch]]:
        """What a part of images holds, as it was made."""
        arrays = self._read(localizer, name)
        found: dict[str, dict[str, NDArray[Any]]] = {}
        for key, values in arrays.items():
            number, kind = key.split()
            found.setdefault(number, {})[kind] = values
        for number, of_set in found.items():
            batch = LocalizedBatch(
                of_set["ids"].tolist(),
                of_set.get("maps"),
                of_set.get("blind_maps"),
                of_set["blind_index"],
                of_set.get("similarity"),
            )
            yield int(number), batch

    def join_sounds(self, localizer: Localizer) -> None:
        """Put the features of all parts into files that every worker can map into its memory."""
        joined = self._folder / "sounds"
        with suppress(*DAMAGE, KeyError):
            # Others may be reading it.
            there = json.loads((joined / "names.json").read_text())
            if there["made_of"] == self._all_sounds and self._are_whole(there["digests"]):
                return
        sizes = [int(self._read(localizer, name)["rows"].max()) + 1 for name in self.sounds]
        starts = np.cumsum([0, *sizes])
        rows = [np.zeros(0, np.intp)]
        form: dict[str, tuple[int, ...]] | None = None
        with replaced_folder(joined, ["*"]) as fresh, ExitStack() as files:
            # Written and not mapped: a full disk would end the process at once.
            streams: dict[str, IO[bytes]] = {}
            for name, start in zip(self.sounds, starts, strict=False):
                features = self._read(localizer, name)
                rows.append(features.pop("rows") + start)
                shapes = {key: values.shape[1:] for key, values in features.items()}
                form = form or shapes
                if shapes != form:
                    raise ModelError(
                        f"{localizer.name} returned features of sounds of several forms",
                        code="E_MODEL_FEATURES",
                        remedy="return arrays of the same names and sizes for every batch",
                    )
                for number, (key, values) in enumerate(features.items()):
                    if key not in streams:
                        stream = files.enter_context((fresh / f"{number}.npy").open("wb"))
                        header = npy.header_data_from_array_1_0(values)
                        header["shape"] = (int(starts[-1]), *values.shape[1:])
                        npy.write_array_header_1_0(stream, header)
                        streams[key] = stream
                    streams[key].write(np.ascontiguousarray(values).data)
            files.close()
            np.save(fresh / "rows.npy", np.concatenate(rows))
            digests = {path.name: sha256_of_file(path) for path in fresh.glob("*.npy")}
            named = {"made_of": self._all_sounds, "names": list(streams), "digests": digests}
            (fresh / "names.json").write_text(json.dumps(named))
        self._checked = True

    def _are_whole(self, digests: Mapping[str, str]) -> bool:
        """Whether features of all sounds are as they were written; asked once in each process."""
        folder = self._folder / "sounds"
        self._checked = self._checked or all(
            _content(folder / name) == digest for name, digest in digests.items()
        )
        return self._checked

    @cached_property
    def _joined_sounds(self) -> EncodedSounds:
        folder = self._folder / "sounds"
        names = json.loads((folder / "names.json").read_text())["names"]
        features = {
            name.removeprefix("feature "): np.load(folder / f"{number}.npy", mmap_mode="r")
            for number, name in enumerate(names)
        }
        return EncodedSounds(features, np.load(folder / "rows.npy"))

    def _read(self, localizer: Localizer, name: str) -> dict[str, NDArray[Any]]:
        """Arrays of a part; one that is found to be damaged is made again, in this process."""
        path = self._folder / f"{name}.npz"
        for last in (False, True):
            with suppress(*DAMAGE):
                if self.there(name):
                    return read_arrays(path)
            path.unlink(missing_ok=True)
            if self._store is not None:
                self._store.remove(path.name)
            if not last:
                self.make(localizer, name)
        raise ModelError(
            "a finished part cannot be read, and is removed",
            code="E_PART_DAMAGED",
            where=path,
            remedy="look whether this disk is sound; the next run makes this part again",
        )

    def _write(self, name: str, arrays: dict[str, NDArray[Any]]) -> None:
        path = self._folder / f"{name}.npz"
        with atomic_path(path) as temporary:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.comment = self._made_of(name).encode()
        if self._store is not None:
            self._store.put(path)

    def _made_of(self, name: str) -> str:
        """Digest of all that decides a part; images are answered with all sounds."""
        if name not in self._digests:
            span = self.sounds[name] if name in self.sounds else self.images[name]
            sources = self._plan.sounds if name in self.sounds else self._plan.images
            # Machines that share no folder have copies, of which the content alone is the same.
            mark = mark_of_file if self._store is None else _content
            marks = [
                [mark(file) for file in source.files()]
                for source in sources[span.start : span.stop]
            ]
            sounds = None if name in self.sounds else self._all_sounds
            # The folder's name tells model, trials and options.
            self._digests[name] = sha256_of_json([self._folder.name, name, sounds, marks])
        return self._digests[name]

    @cached_property
    def _all_sounds(self) -> str:
        return sha256_of_json([self._made_of(name) for name in self.sounds])
