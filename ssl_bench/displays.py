"""How objects show themselves: one line in a terminal, a table or a picture in a notebook."""

from __future__ import annotations

import base64
import io
import os
import wave
from abc import ABC, abstractmethod
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssl_bench.plots import save_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MOST_ROWS = 8


class Shown(ABC):
    """An object that is one line in a terminal, and that line with a table in a notebook."""

    @property
    @abstractmethod
    def headline(self) -> str:
        """What it is, in one line."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Its content as a table."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.headline}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return f"<p><b>{type(self).__name__}</b> {escape(self.headline)}</p>" + html_table(
            self.to_frame()
        )


def html_table(frame: pd.DataFrame) -> str:
    """The first rows of a table as HTML, and how many more there are."""
    some = frame.head(_MOST_ROWS)
    more = len(frame) - len(some)
    text: str = some.to_html(index=False, na_rep="", border=0, escape=True)
    return text + (
        f"<p>and {more:,} more rows; <code>to_frame()</code> has all</p>" if more else ""
    )


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, and a sound to be heard with it; in a notebook it is seen and played.

    Attributes
    ----------
    figure
        A figure of matplotlib.
    samples
        The sound, ``(n, channels)`` float64 in [-1, 1]; None for none.
    rate
        Samples per second of the sound, in Hz.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> shown = ssl_bench.open_trials("synth")[0].show()
    >>> shown.rate
    11025
    >>> shown.save(Path(tempfile.mkdtemp()) / "trial.png")
    """

    figure: Figure
    samples: NDArray[np.float64] | None = None
    rate: int = 0

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the figure as PNG, PDF or SVG, by the ending of the name.

        Raises
        ------
        ResultError
            If it is another ending, or the file cannot be written.
        """
        save_figure(self.figure, Path(path))

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.figure.savefig(stream, format="png")
        return stream.getvalue()

    def _repr_html_(self) -> str:
        text = f'<img src="{_address("image/png", self._repr_png_())}" style="max-width:100%">'
        if self.samples is None:
            return text
        sound = _address("audio/wav", _wav(self.samples, self.rate))
        return f'{text}<br><audio controls preload="none" src="{sound}"></audio>'


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _wav(samples: NDArray[np.float64], rate: int) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clip(-1, 1) * 32767).round().astype("<i2").tobytes())
    return stream.getvalue()
