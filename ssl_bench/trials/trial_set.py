"""All trials of a protocol: which there are, and what they show, play and expect."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.arguments import ArgumentError, named_arguments, require_instance, shown_value
from ssl_bench.displays import Picture, Shown
from ssl_bench.errors import ProtocolError, SslBenchError, one_of, shortened
from ssl_bench.media.synthesis import mixed, noise_like, silence_like
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.packed import packed, rows_by_name
from ssl_bench.protocols.conventions import Interpolation, ThresholdTable, TruthConvention
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.testsets.base import TestSet
from ssl_bench.testsets.truth import draw
from ssl_bench.trials.canvas import cropped, laid
from ssl_bench.trials.dataset import TrialDataset
from ssl_bench.trials.digests import digest_of_facts, digest_of_questions
from ssl_bench.trials.display import Panel, draw_panels
from ssl_bench.trials.open_trial import OpenTrial
from ssl_bench.trials.recipes import (
    AudioRecipe,
    ImageRecipe,
    Placement,
    VideoRecipe,
)
from ssl_bench.trials.trial import Trial

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ssl_bench.predictions import PredictionsMeta


class TrialError(SslBenchError, IndexError, KeyError):
    """There is no trial of that row or id."""

    code = "E_TRIAL_UNKNOWN"

    __str__ = SslBenchError.__str__  # that of KeyError puts the sentence in quotes


class TrialSet(Shown):
    """All trials of one protocol on one test set, and what they are made of.

    The trials are in the protocol's own order, with unique ids; `thresholds` ``(n,)`` are absolute
    ones, one for each, in place of the protocol's. ProtocolError if there is no trial.

    Attributes
    ----------
    whole
        All trials of the protocol, where these are a part of them; else the same set.
    rest_fails
        Whether the trials outside a part count as failures, so that answers to it are complete.

    Examples
    --------
    >>> from ssl_bench.trials.compositions import open_trials
    >>> trials = open_trials("synth")
    >>> trials
    <TrialSet synth@synth:standard: 500 trials>
    >>> trials[0].picture().shape, trials[0].truth().shape, trials[0].waveform().rate
    ((128, 128, 3), (224, 224), 11025)
    >>> trials[:3].ids
    ['standard-000000', 'standard-000001', 'standard-000002']
    >>> {trial.category for trial in trials.filter(category=trials[0].category)} == {
    ...     trials[0].category
    ... }
    True
    """

    def __init__(
        self,
        protocol: Protocol,
        test_set: TestSet,
        trials: Iterable[Trial],
        thresholds: NDArray[np.float32] | None = None,
    ) -> None:
        self.protocol, self.test_set, self.thresholds = protocol, test_set, thresholds
        self.trials = packed(trials)
        self.whole, self.rest_fails = self, True
        if not self.trials:
            raise ProtocolError(
                "this protocol composes no trial of these samples",
                code="E_TRIALS_NONE",
                where=protocol.label,
                remedy="use a test set with more samples, of categories that differ",
            )
        if len(self.index) != len(self.trials):
            raise ProtocolError(
                "two trials share an id", code="E_TRIAL_REPEATED", where=protocol.label
            )

    def part(self, rows: Sequence[int], *, rest_fails: bool) -> TrialSet:
        """Some of the trials, whose predictions are predictions of the whole set."""
        chosen = None if self.thresholds is None else self.thresholds[list(rows)]
        some = (self.trials[row] for row in rows)
        part = TrialSet(self.protocol, self.test_set, some, chosen)
        part.whole, part.rest_fails = self.whole, rest_fails
        return part

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[OpenTrial]:
        return (OpenTrial.of_set(trial, self) for trial in self.trials)

    @overload
    def __getitem__(self, row: int | str) -> OpenTrial: ...

    @overload
    def __getitem__(self, row: slice) -> TrialSet: ...

    def __getitem__(self, row: int | str | slice) -> OpenTrial | TrialSet:
        """One trial by its row or its id, which can be shown; or a slice, as a part of the set.

        TrialError, which is an IndexError and a KeyError, if there is none.
        """
        if isinstance(row, slice):
            return self.part(range(len(self))[row], rest_fails=False)
        if isinstance(row, str):
            if row not in self.index:
                raise TrialError(
                    f"no trial is called {shortened(row, 60)!r}",
                    where=self.protocol.label,
                    remedy=f"use an id such as {self.trials[0].id}; 'ids' lists all",
                )
            row = self.index[row]
        require_instance("TrialSet[...]", "row", row, int, np.integer)
        if not -len(self) <= row < len(self):
            raise TrialError(
                f"there is no trial {row:,}",
                where=self.protocol.label,
                remedy=f"use 0 to {len(self) - 1:,}, or a trial id",
            )
        return OpenTrial.of_set(self.trials[row], self)

    def filter(self, condition: Callable[[Trial], bool] | None = None, **values: Any) -> TrialSet:
        """The trials that meet a condition, and have these values in fields or attributes.

        Raises
        ------
        ArgumentError
            If no trial has such a field or attribute.
        ProtocolError
            If no trial is left.
        """
        if condition is not None and not callable(condition):
            raise ArgumentError(
                f"filter: condition is {shown_value(condition)}, which cannot be called",
                remedy='give values by name, such as category="dog", or a function of a trial',
            )
        names = [each.name for each in fields(Trial)]
        for name in values:
            if name not in names and not any(name in trial.attributes for trial in self.trials):
                known = [*names, *sorted({key for each in self.trials for key in each.attributes})]
                raise ArgumentError(
                    f"filter: no trial has a field or an attribute {name!r}",
                    remedy=one_of(known, name),
                )

        def meets(trial: Trial) -> bool:
            return (condition is None or condition(trial)) and all(
                getattr(trial, name, trial.attributes.get(name)) == value
                for name, value in values.items()
            )

        rows = [row for row, trial in enumerate(self.trials) if meets(trial)]
        if not rows:
            raise ProtocolError(
                "no trial meets the condition",
                code="E_TRIALS_NONE",
                where=self.protocol.label,
                remedy="to_frame() shows what the trials have",
            )
        return self.part(rows, rest_fails=False)

    def images(self) -> Iterator[NDArray[np.uint8]]:
        """The picture ``(height, width, 3)`` uint8 RGB of each trial; raises as :meth:`image`."""
        return (self.image(trial.image) for trial in self.trials)

    def sounds(self) -> Iterator[Waveform]:
        """The sound of each trial; raises as :meth:`waveform`."""
        return (self.waveform(trial.audio) for trial in self.trials)

    def dataset(self, transform: Callable[[dict[str, Any]], Any] | None = None) -> TrialDataset:
        """The trials as items for a ``torch.utils.data.DataLoader``; see :class:`TrialDataset`."""
        return TrialDataset(self, transform)

    @property
    def headline(self) -> str:
        """Protocol and number of trials, in one line."""
        of = "" if self.whole is self else f" of {len(self.whole):,}"
        return f"{self.protocol.label}: {len(self):,}{of} trial{'s' if len(self) > 1 else ''}"

    def to_frame(self) -> pd.DataFrame:
        """One row a trial: id, what is seen and heard, category, role, group, and attributes."""
        import pandas as pd

        return pd.DataFrame(
            {
                "trial_id": trial.id,
                "image": trial.image.key,
                "sound": trial.audio.key,
                "category": trial.category,
                "role": trial.role,
                "group": trial.group,
                "sounding": trial.sounding,
                **trial.attributes,
            }
            for trial in self.trials
        )

    def plot(self, count: int = 5) -> Figure:
        """The first trials beside each other, with their truth; raises as :meth:`image`."""
        first = [self[row] for row in range(min(count, len(self)))]
        return draw_panels(
            [
                Panel(each.category, self.cropped(each, each.picture()), each.truth())
                for each in first
            ]
        )

    def _repr_html_(self) -> str:
        strip = ""
        with suppress(SslBenchError):  # the table is of use where a picture is missing
            strip = Picture(self.plot())._repr_html_()
        return super()._repr_html_() + strip

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Row number of each trial id, in order."""
        return rows_by_name(trial.id for trial in self.trials)

    def rows_of(self, ids: Iterable[str]) -> NDArray[np.intp]:
        """Row numbers ``(n,)`` of some trials."""
        return np.fromiter(map(self.index.__getitem__, ids), np.intp)

    def predictions_meta(
        self,
        model: str,
        *,
        weights_digest: str | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> PredictionsMeta:
        """Metadata of predictions of all these trials; ModelError for an odd name."""
        from ssl_bench.predictions.format import PredictionsMeta, usable_name

        return PredictionsMeta(
            protocol=self.protocol.label,
            protocol_digest=self.protocol.digest,
            trials_digest=self.digest,
            test_set=self.test_set.name,
            test_set_digest=self.test_set.digest,
            model=usable_name(model),
            weights_digest=weights_digest,
            complete=self.rest_fails,
            provenance=dict(provenance or {}),
        )

    @named_arguments()
    def save(self, path: str | os.PathLike[str], maps: ArrayLike, *, model: str) -> None:
        """Write finite maps ``(n, h, w)`` of all trials, in order, as an ``.npz`` predictions file.

        Maps are an array or a tensor. SslBenchError if they, the path or the name of the model
        cannot be used.
        """
        from ssl_bench.predictions import save_predictions

        save_predictions(path, self.ids, maps, self.predictions_meta(model))

    @property
    def ids(self) -> list[str]:
        """All trial ids, in order."""
        return list(self.index)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what is asked of a model: each trial's picture and sound.

        Nothing of how answers are scored is part of it, so predictions still answer a protocol of
        which only measures, threshold or controls changed. Nor is the truth: it is part of the test
        set's own digest.
        """
        if self.whole is not self:
            return self.whole.digest
        return digest_of_questions(self.protocol, self.test_set, self.trials, self.index)

    @cached_property
    def full_digest(self) -> str:
        """SHA-256 over all that is known of each trial, in order: what is expected, too.

        Unlike :attr:`digest`, it tells a part from the whole, and one truth from another.
        """
        return digest_of_facts(self.trials)

    def threshold(self, row: int) -> ThresholdTable:
        """The threshold table in force for one trial, by row."""
        own = {} if self.thresholds is None else {"value": float(self.thresholds[row])}
        return self.protocol.threshold.model_copy(update=own)

    def interpolation(self, row: int) -> Interpolation:
        """How the map of one trial is brought to the grid, by row."""
        silent = self.protocol.map.silent_interpolation
        if silent is None or self.trials[row].sounding:
            return self.protocol.interpolation
        return silent

    @property
    def truth_convention(self) -> TruthConvention:
        """The convention in force: the protocol's, or the test set's own."""
        named = self.protocol.truth.convention
        return self.test_set.truth_convention if named == "test-set" else named

    def truth(self, trial: Trial) -> NDArray[np.float32]:
        """Truth map ``(size, size)`` float32 in [0, 1] of one trial on the protocol's grid."""
        side = self.protocol.map.whole_size
        grid = np.zeros((side, side), np.float32)
        self._draw(trial, grid)
        return self.cropped(trial, grid)

    def cropped(self, trial: Trial, picture: NDArray[Any]) -> NDArray[Any]:
        """What the protocol keeps of something ``(h, w, ...)`` that covers a trial's picture."""
        crop = self.protocol.map.crop
        if crop is None:
            return picture
        return cropped(picture, (placement for _, placement in trial.image.parts), crop)

    def truths(
        self, rows: Sequence[int] | NDArray[np.intp], *, whole: bool = False
    ) -> NDArray[np.float32]:
        """Truth maps ``(b, size, size)`` float32 of a few trials, by row; `whole`: not cropped."""
        size = self.protocol.map.size
        if self.protocol.map.crop is not None and not whole:
            return np.stack([self.truth(self.trials[row]) for row in rows])
        # Drawn in place: a second copy of the maps would cost as much time as drawing them. Filled
        # with zeros by an assignment, which other threads need not wait for, unlike np.zeros.
        grids = np.empty((len(rows), size, size), np.float32)
        grids[...] = 0
        for row, grid in zip(rows, grids, strict=True):
            self._draw(self.trials[row], grid)
        return grids

    def _draw(self, trial: Trial, grid: NDArray[np.float32]) -> None:
        """Draw the targets of a trial onto an empty grid."""
        for target in trial.targets:
            rows, columns = target.placement.on_grid(*grid.shape)
            annotation = self.test_set[target.sample].annotation
            draw(annotation, self.truth_convention, grid[rows, columns])

    def image_identity(self, recipe: ImageRecipe) -> Hashable:
        """What a picture is: equal only where pictures are, in any protocol or split."""
        return tuple(
            (self.test_set.image_identity(sample), placement) for sample, placement in recipe.parts
        )

    def sound_identity(self, recipe: AudioRecipe) -> Hashable:
        """What a sound is: equal only where sounds are, in any protocol or split."""
        made_of = tuple(self.test_set.sound_identity(sample) for sample in recipe.samples)
        return recipe.kind, recipe.seed, made_of

    def image(self, recipe: ImageRecipe) -> NDArray[np.uint8]:
        """Picture ``(height, width, 3)`` uint8 RGB of a recipe; raises DataError without an image.

        Several parts are laid on a canvas as large as the largest of them, each resized (Pillow,
        bicubic) into its placement.
        """
        placements = [placement for _, placement in recipe.parts]
        return laid([self.test_set.image(sample) for sample, _ in recipe.parts], placements)

    def video_recipe(self, trial: Trial, video: VideoInput) -> VideoRecipe:
        """The frames around a trial's picture; see :meth:`moving_parts`."""
        return VideoRecipe(self.moving_parts(trial), video)

    def moving_parts(self, trial: Trial) -> tuple[tuple[str, Placement], ...]:
        """Whose frames a trial's picture is made of, and where they stand.

        They are of the samples that the picture is made of. Where samples share a picture and
        differ in what sounds, they are of the one whose sound the trial is about.
        """
        asked = {target.placement: target.sample for target in trial.targets}
        same = self.test_set.image_identity
        parts = []
        for sample, placement in trial.image.parts:
            own = asked.get(placement, sample)
            parts.append((own if same(own) == same(sample) else sample, placement))
        return tuple(parts)

    def video_identity(self, recipe: VideoRecipe) -> Hashable:
        """What frames are: equal only where frames are, in any protocol or split."""
        return recipe.video, tuple(
            (self.test_set.video_identity(sample), placement) for sample, placement in recipe.parts
        )

    def frames(self, recipe: VideoRecipe) -> NDArray[np.uint8]:
        """Frames ``(n, height, width, 3)`` uint8 RGB of a recipe, composed one by one as pictures.

        Raises DataError where there is no video, or it cannot be read.
        """
        parts = [self.test_set.frames(sample, recipe.video) for sample, _ in recipe.parts]
        placements = [placement for _, placement in recipe.parts]
        return np.stack([laid(images, placements) for images in zip(*parts, strict=True)])

    def shown(self, trial: Trial, video: VideoInput | None) -> NDArray[np.uint8]:
        """What a model sees of a trial: its picture, or the frames that it asks for."""
        if video is None:
            return self.image(trial.image)
        return self.frames(self.video_recipe(trial, video))

    def waveform(self, recipe: AudioRecipe) -> Waveform:
        """Sound of a recipe; raises DataError if it is missing or unreadable."""
        waveforms = [self.test_set.waveform(sample) for sample in recipe.samples]
        if recipe.kind == "silence":
            return silence_like(waveforms[0])
        if recipe.kind == "noise":
            return noise_like(waveforms[0], recipe.seed)
        if len(waveforms) == 1:
            return waveforms[0]
        return mixed(waveforms, where=self.source(recipe))

    def files(self, recipe: ImageRecipe | VideoRecipe | AudioRecipe) -> list[Path]:
        """The files that a recipe is read from; none where code makes it."""
        if isinstance(recipe, AudioRecipe):
            files = [self.test_set.sound_file(sample) for sample in recipe.samples]
        else:
            files = [self.test_set.image_file(sample) for sample, _ in recipe.parts]
        if isinstance(recipe, VideoRecipe):
            files += [self.test_set.video_file(sample) for sample, _ in recipe.parts]
        return [file for file in files if file is not None]

    def source(self, recipe: ImageRecipe | VideoRecipe | AudioRecipe) -> str:
        """What a recipe is made of, for messages: its key, and the files where there are any."""
        known = ", ".join(map(str, self.files(recipe)))
        return f"{recipe.key} ({known})" if known else recipe.key
