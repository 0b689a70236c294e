"""Clips in files as training examples, which are read while training goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.media.audio import read_audio
from ssl_bench.media.image import read_image
from ssl_bench.media.video import open_video
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.training.data import FrontEnd, Source
from ssl_bench.training.given_truth import GivenTruth


@dataclass(frozen=True)
class Clip:
    """One clip of a folder: its name in the list, and its files; None for what is not needed."""

    id: str
    image: Path
    sound: Path | None = None
    video: Path | None = None


class ClipSource(Source):
    """Clips as training examples, whose files are read when they are needed.

    `front_end` is the model's for sounds, `labels` ``(N,)`` int64 are the numbers of the clips'
    classes; either is None where it is not needed, as are where the clips sound, and the frames
    around their images.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        front_end: FrontEnd | None = None,
        truth: GivenTruth | None = None,
        labels: NDArray[np.int64] | None = None,
        video: VideoInput | None = None,
    ) -> None:
        self.ids = tuple(clip.id for clip in clips)
        self.categories = np.full(len(clips), -1, np.int64) if labels is None else labels
        self.has_truth = truth is not None
        self._clips = clips
        self._front_end = front_end
        self._truth = truth
        self._video = video
        # Names and sizes of the files stand for their content.
        files = [
            (clip.id, path)
            for clip in clips
            for path in (clip.image, clip.sound, clip.video)
            if path is not None
        ]
        notes = [f"{name}\t{path.name}\t{path.stat().st_size}" for name, path in files]
        notes += [] if truth is None else map(truth.fingerprint, self.ids)
        notes += [] if labels is None else map(str, labels)
        notes += [] if video is None else [video.described()]
        self.digest = hashlib.sha256("".join(f"{note}\n" for note in notes).encode()).hexdigest()

    def image(self, row: int) -> NDArray[np.uint8]:
        """See :meth:`~ssl_bench.training.data.Source.image`."""
        return read_image(self._clips[row].image)

    def sound(self, row: int, shift: float = 0.0) -> NDArray[np.float32]:
        """See :meth:`~ssl_bench.training.data.Source.sound`.

        The whole clip is rolled before the front end takes its part of it. Raises DataError where
        the clips were opened without their sounds.
        """
        path = self._clips[row].sound
        if path is None or self._front_end is None:
            raise DataError(
                "this clip was opened without its sound",
                code="E_SOUND_UNREAD",
                where=self.ids[row],
            )
        sound = read_audio(path)
        moved = round(shift * len(sound.samples))
        if moved:
            sound = Waveform(np.roll(sound.samples, moved, axis=0), sound.rate)
        try:
            return self._front_end(sound)
        except DataError as error:
            raise DataError(
                error.problem, code=error.code, where=path, remedy=error.remedy
            ) from None

    def truth(self, row: int) -> NDArray[np.float32]:
        """Where one clip sounds, ``(224, 224)`` float32 in [0, 1]."""
        assert self._truth is not None
        return self._truth.map(self.ids[row])

    def frames(self, row: int) -> NDArray[np.uint8]:
        """Frames around the middle of a clip's video, which its image shows, of that one's size.

        See :meth:`~ssl_bench.training.data.Source.frames`.
        """
        path = self._clips[row].video
        if path is None or self._video is None:
            return super().frames(row)
        with open_video(path) as opened:
            return opened.frames(opened.middle, self._video, self.image(row))
