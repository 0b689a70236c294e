"""The scenes as a test set."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_bench.errors import AnnotationError, DataError, Problem
from ssl_bench.files import sha256_of_json
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.schemas import Strict, checked
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.base import (
    Finding,
    Sample,
    SilentPair,
    TestSet,
    TestSetDefinition,
    corrupt,
    problem_of,
)
from ssl_bench.testsets.collage.layout import PAIRED, SIZE, SPLITS
from ssl_bench.testsets.collage.materials import RATE
from ssl_bench.testsets.collage.sources import INSTALL, STAMPS, read_sources
from ssl_bench.testsets.collage.world import RECIPE, Scene, World
from ssl_bench.testsets.rendered import (
    PARTS,
    ArrayCache,
    ChunkReader,
    Progress,
    cache_of,
    iterate_chunks,
)
from ssl_bench.testsets.silent import off_screen_pairs

_COUNTS = {"interactive": 1000, "type-ab": 1000, "train": 4000}
_COUNT = 500  # of other splits


class _Options(Strict):
    count: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0


class SceneMask(Mask):
    """An exact mask that is drawn when it is looked at: most readers of samples never do."""

    __slots__ = ("_labels", "_sounding")

    def __init__(self, labels: Callable[[], NDArray[np.uint8]], sounding: Sequence[int]) -> None:
        self.shape = (SIZE, SIZE)
        self._labels = labels
        self._sounding = tuple(sounding)

    def __reduce__(self) -> tuple[Any, ...]:
        # What is sent to another process is drawn before.
        return Mask, (self.pixels, self.boxes)

    @property
    def pixels(self) -> NDArray[np.bool_]:
        """What is visible of all that sounds."""
        heard: NDArray[np.bool_] = np.isin(self._labels(), [each + 1 for each in self._sounding])
        return heard

    @property
    def boxes(self) -> Boxes:  # type: ignore[override]
        """The box of what is visible of each thing that sounds."""
        labels = self._labels()
        corners = []
        for each in self._sounding:
            rows, columns = np.nonzero(labels == each + 1)
            corners.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        return Boxes(np.array(corners, np.float64), (float(SIZE), float(SIZE)))


class CollageTestSet(TestSet):
    """The first `count` samples of one split of a world; a sample does not depend on the count."""

    name = "collage"
    truth_convention = "mask"
    revision: str | None = f"recipe {RECIPE}"

    def __init__(self, world: World, split: str, count: int) -> None:
        self.world = world
        self.split = split
        self.count = count
        self._cache = ArrayCache(cache_of("collage", RECIPE))
        self._reader = ChunkReader(world, split, self._cache)

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """All samples, in the order of their indices."""
        return tuple(self._sample(self.world.scene(self.split, n)) for n in range(self.count))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the recipe's version, all files that scenes are made of, and the split."""
        world = self.world
        return sha256_of_json([RECIPE, world.sources.digest, world.seed, self.split, self.count])

    @property
    def media(self) -> Hashable:
        """The world: what is rendered depends neither on the split nor on the count."""
        return self.name, self.world.name

    def image(self, sample_id: str) -> NDArray[np.uint8]:
        """Image ``(448, 448, 3)`` uint8 RGB of one sample."""
        return self._row("images", sample_id)

    def waveform(self, sample_id: str) -> Waveform:
        """Sound of one sample: what sounds in it, over noise; three seconds, one channel."""
        return Waveform(self._row("sounds", sample_id)[:, None], RATE)

    def require_video(self) -> None:
        """Nothing: everything in these scenes moves."""

    def frames(self, sample_id: str, video: VideoInput) -> NDArray[np.uint8]:
        """Frames ``(n, 448, 448, 3)`` uint8 RGB around one sample's image, rendered when asked."""
        return self.world.frames(self.world.scene(self.split, self._index(sample_id)), video)

    def silent_pairs(self) -> Sequence[SilentPair]:
        """Each image with the sound of a scene of which it shows nothing, by the world's seed."""
        return off_screen_pairs(self.samples, seed=self.world.seed)

    def prepare(self, progress: Progress | None = None) -> None:
        """Render everything into the cache; `progress` gets the samples done and their number."""
        for _ in iterate_chunks(self.world, self.split, self.count, PARTS, self._cache, progress):
            pass

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Label map of one sample: 0 for the background, k + 1 where thing k is visible."""
        labels: NDArray[np.uint8] = self._reader.row("truth", index)["truth"]
        return labels

    def _row(self, part: str, sample_id: str) -> NDArray[Any]:
        return self._reader.row(part, self._index(sample_id))[part].copy()

    def _index(self, sample_id: str) -> int:
        return int(self[sample_id].id.rpartition("-")[2])

    def _sample(self, scene: Scene) -> Sample:
        cutouts, things = self.world.sources.cutouts, scene.things
        paired = self.split in PAIRED
        shown = f"{self.split}-scene-{scene.number:06d}"
        objects = [
            {
                "category": cutouts[each.cutout].category,
                "box": [each.x, each.y, each.x + each.width, each.y + each.height],
                "capable": self.world.capable[each.cutout],
                "sounding": each.sounding,
            }
            for each in things
        ]
        sounding = scene.sounding
        capable = sorted(str(each["category"]) for each in objects if each["capable"])
        return Sample(
            id=f"{self.split}-{scene.index:06d}",
            group=shown,
            category="+".join(sorted(str(objects[number]["category"]) for number in sounding)),
            annotation=SceneMask(partial(self.labels, scene.index), sounding),
            categories=tuple(capable),
            attributes={
                **({"image": shown} if paired else {}),
                "type": "A" if len(sounding) == len(capable) else "B",
                "n_objects": len(things),
                "n_capable": len(capable),
                "n_sounding": len(sounding),
                "n_silent": len(things) - len(capable),
                "objects": objects,
            },
        )


class CollageDefinition(TestSetDefinition):
    """Photographed cut-outs, recordings of them, exact masks.

    Options: ``count`` (samples) and ``seed``.
    """

    name = "collage"
    title = "the test set collage"
    splits = SPLITS
    installed = True
    truth_convention = "mask"

    def open(self, folder: Path | None, split: str, options: Mapping[str, Any]) -> CollageTestSet:
        """Open one split; raises DataError for an invalid option, or with all that is missing."""
        asked = checked(dict(options), _Options, self.name, error=DataError)
        count = _COUNTS.get(split, _COUNT) if asked.count is None else asked.count
        if split in PAIRED and count % 2:
            raise DataError(
                f"count is {count}, and {split} samples come in pairs",
                code="E_COUNT_ODD",
                where=self.name,
                remedy="give an even number",
            )
        sources = read_sources(folder)
        if split == "unseen-cutouts" and all(each.role != "unseen" for each in sources.cutouts):
            raise DataError(
                f"{split} shows cut-outs with the role unseen, and there is none",
                code="E_COLLAGE_ITEM",
                where=self.name,
                remedy="name some in the table of items, or take another split",
            )
        return CollageTestSet(World(sources, asked.seed), split, count)

    def layout(self) -> str:
        """What to install, or how to name folders of one's own."""
        return f"""\
collage is made by code from Debian's packages, of which nothing ships here:

  {INSTALL}

They hold cut-outs and recordings ({STAMPS}, GPL-2) and photographs for the
background (GPL-2 or later, CC BY, CC BY-SA, CC0). Other folders are named by
a file, DATA/collage/collage.toml, in which every line has a default:

  cutouts = "/usr/share/tuxpaint/stamps"   PNG files with transparency
  sounds = "/usr/share/tuxpaint/stamps"    recordings
  photographs = "my/pictures"              five pictures or more; or "drawn"
  items = "items.csv"                      role,category,path,sha256

A role is seen, unseen (kept away from training), sound, look-alike or salient
(these two never sound); sha256 may be empty. Paths start at the file's folder.
Splits: {", ".join(SPLITS)}.
What was rendered is kept in {cache_of("collage", RECIPE)},
which may be deleted at any time. docs/explanation/collage.md tells more.
"""

    def verify(self, folder: Path | None) -> list[Finding]:
        """What the tables name that is missing or differs; and whether all of it can be read."""
        try:
            sources = read_sources(folder)
        except AnnotationError as error:
            item = STAMPS if folder is None else str(folder)
            known = [each for each in error.problems if isinstance(each, Problem)]
            return [problem_of(item, each) for each in known]
        except DataError as error:
            return corrupt(str(error.where), error)
        world = World(sources)
        findings = world.unreadable()
        counts = [
            (len(sources.cutouts), "cut-outs"),
            (len(sources.sounds), f"recordings of {len(sources.categories)} categories"),
            (len(sources.photographs), "photographs"),
        ]
        summary = ", ".join(f"{count} {what}" for count, what in counts)
        return [Finding("ok", "sources", summary), *findings]


TEST_SET = CollageDefinition()
