"""One picture and one sound: where models hear it, as arrays and as a figure."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.analysis.localizing import Located, locate
from ssl_bench.analysis.request import require_name
from ssl_bench.arguments import require_instance
from ssl_bench.errors import DataError
from ssl_bench.figures.sheet import MapPanel, SheetRow, draw_sheet
from ssl_bench.media.audio import read_audio
from ssl_bench.media.image import read_image
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.registry import (
    list_baselines,
    load_baseline,
    load_localizer,
    with_object_prior,
)
from ssl_bench.plots import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Model = str | Localizer | AnnotationLocalizer


@dataclass(frozen=True, eq=False)
class Localization:
    """What one or several models make of a picture and a sound; in a notebook it draws itself.

    Attributes
    ----------
    image
        ``(height, width, 3)`` uint8 RGB.
    models
        What each model says: its map, the pixels that are predicted, the peak, and its audio-blind
        map.

    Examples
    --------
    Those of :func:`localize`.
    """

    image: NDArray[np.uint8]
    models: tuple[Located, ...]

    @property
    def heat(self) -> NDArray[np.float32]:
        """The map of the first model, ``(224, 224)`` float32 in [0, 1]."""
        return self.models[0].heat

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """The pixels that the first model's map predicts, ``(224, 224)`` bool."""
        return self.models[0].predicted

    @property
    def peak(self) -> tuple[int, int]:
        """Where the first model's map is highest: column and row in pixels of the image."""
        return self.peak_of(self.models[0])

    def peak_of(self, model: Located) -> tuple[int, int]:
        """Where a model's map is highest: column and row in pixels of the image."""
        height, width = self.image.shape[:2]
        return int(model.peak[0] * width), int(model.peak[1] * height)

    def plot(self) -> Figure:
        """A row for each model: the image, the map with predicted pixels, the audio-blind map."""
        with_blind = any(each.blind is not None for each in self.models)
        rows = []
        for each in self.models:
            own = MapPanel(each.heat, each.predicted, peak=each.peak)
            blind = None if each.blind is None else MapPanel(each.blind)
            maps = (own, blind) if with_blind else (own,)
            rows.append(SheetRow(each.model, self.image, None, maps))
        return draw_sheet(rows, ("map", "audio-blind map") if with_blind else ("map",))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the figure as PNG, PDF or SVG, by the ending of the name.

        Raises
        ------
        ResultError
            If it is another ending, or the file cannot be written.
        """
        save_figure(self.plot(), Path(path))

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.plot().savefig(stream, format="png")
        return stream.getvalue()


def localize(
    image: str | os.PathLike[str] | NDArray[np.uint8],
    sound: str | os.PathLike[str] | Waveform,
    model: Model | Sequence[Model] = "ezvsl",
    *,
    variant: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    alpha: float | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    resample: bool = False,
) -> Localization:
    """Ask one or several models where in a picture a sound comes from.

    Parameters
    ----------
    image
        A file, or ``(height, width, 3)`` uint8 RGB.
    sound
        A file (also a video), or a sound.
    model
        Names of baselines or plug-ins, ``path/to/file.py:NAME``, or localizers themselves.
    resample
        Whether a sound of another rate, or of more channels, than a named model takes is converted.
    variant, weights, alpha, seed, settings
        How named models are loaded, as in :func:`ssl_bench.evaluate`. The weights that ship know
        the embedded world alone; photographs need others.

    Raises
    ------
    SslBenchError
        If a file or a model cannot be used, or a model does not take the sound.

    Examples
    --------
    >>> import ssl_bench
    >>> world = ssl_bench.open_test_set("synth", options={"count": 1})
    >>> name = world.samples[0].id
    >>> found = ssl_bench.localize(world.image(name), world.waveform(name), "ezvsl")
    >>> found.heat.shape, found.predicted.dtype, found.peak
    ((224, 224), dtype('bool'), ...)
    """
    require_instance("localize", "image", image, str, os.PathLike, np.ndarray)
    require_instance("localize", "sound", sound, str, os.PathLike, Waveform)
    pixels = image if isinstance(image, np.ndarray) else read_image(Path(image))
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise DataError(
            f"an image is an array (height, width, 3) of uint8, not {pixels.dtype} {pixels.shape}",
            code="E_IMAGE_FORM",
            remedy="convert it to RGB with 8 bits",
        )
    heard = sound if isinstance(sound, Waveform) else read_audio(Path(sound))
    named = [model] if isinstance(model, str | Localizer | AnnotationLocalizer) else model
    require_instance("localize", "model", named, Sequence)
    for each in named:
        require_instance("localize", "model", each, str, Localizer, AnnotationLocalizer)
    for each in named:
        require_name(each, alpha, variant=variant, weights=weights, settings=settings)
    localizers = [
        loaded(
            each,
            variant=variant,
            weights=None if weights is None else Path(weights),
            alpha=alpha,
            seed=seed,
            options=settings,
            resample=resample,
        )
        for each in named
    ]
    return Localization(pixels, tuple(locate(each, [pixels], [heard])[0] for each in localizers))


def loaded(
    model: Model,
    *,
    variant: str | None = None,
    weights: Path | None = None,
    alpha: float | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    resample: bool = False,
) -> Localizer | AnnotationLocalizer:
    """A localizer by its name, or itself; one that does not listen is not told to resample."""
    if not isinstance(model, str):
        return model if alpha is None else with_object_prior(model, alpha, options)
    given = dict(options or {})
    if resample and (
        model not in list_baselines() or load_baseline(model).card.modality == "audio-visual"
    ):
        given["resample"] = True
    return load_localizer(
        model, variant=variant, weights=weights, alpha=alpha, seed=seed, options=given
    )
