"""The contract between the engine and a model.

A model is split into encoding images, encoding sounds, and combining the two, so that the engine
encodes each distinct image and each distinct sound once, however many trials pair them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.devices import Place, move_held
from ssl_bench.models.provenance import Provenance

Features = Mapping[str, NDArray[Any]]
"""Encoded images or sounds: named arrays that share their first axis (one row per input)."""

OptionalMethod = Literal["similarity", "vision_only", "class_maps"]
"""Methods that a localizer may do without."""

_MISSING: dict[OptionalMethod, str] = {
    "similarity": "declares no image-sound similarity",
    "vision_only": "has no audio-blind map of its own",
    "class_maps": "makes one map, whatever category is asked for",
}


class Localizer(ABC):
    """A model that looks and listens.

    Attributes
    ----------
    name
        Name of the model, as in results.
    preset
        Name of the preprocessing preset in use, as in results.
    audio_blind
        True where the maps cannot depend on the sound: the engine then encodes none.
    video_input
        The frames that are asked for around each picture: images are then ``(frames, height,
        width, 3)``, of which the middle one is the picture. None for pictures alone.
    provenance
        Weights, options and so on, as in results; None for name and preset alone.

    Examples
    --------
    A model that finds bright pixels, whatever it hears:

    >>> class Bright(Localizer):
    ...     name = "bright"
    ...     audio_blind = True
    ...     def encode_image(self, images):
    ...         return {"mean": np.stack([image.mean(axis=2, dtype="f4") for image in images])}
    ...     def encode_audio(self, sounds):
    ...         return {"none": np.zeros((len(sounds), 0), np.float32)}
    ...     def localize(self, image_features, audio_features):
    ...         return image_features["mean"]
    >>> model = Bright()
    >>> features = model.encode_image([np.zeros((4, 6, 3), np.uint8)])
    >>> model.localize(features, {}).shape
    (1, 4, 6)
    """

    name: str
    preset: str = "original"
    audio_blind: bool = False
    video_input: VideoInput | None = None
    provenance: Provenance | None = None

    @abstractmethod
    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Encode B images, ``(height, width, 3)`` uint8 RGB of any and differing size >= 1x1.

        Where the model has a `video_input`, each is ``(frames, height, width, 3)``.
        The model applies its own preprocessing. What it returns, arrays or tensors, reaches
        :meth:`localize` as numpy arrays.
        """

    @abstractmethod
    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Encode B sounds; the model applies its own preprocessing and never resamples silently."""

    @abstractmethod
    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32 for B pairs (row i of one with row i of the other).

        Features are what the encoding methods returned, as numpy arrays: tensors that they
        returned come back as arrays, for example to be made tensors by ``torch.from_numpy``. It is
        given the sound and no category; a model that makes one map for each category has
        :meth:`class_maps`, too.

        Higher means more likely to sound; any finite range; any h, w >= 1. No per-image
        normalisation is needed: the protocol says how maps are normalised.
        """

    def prepare_image(self, image: NDArray[np.uint8]) -> Any:
        """What encoding does to one image alone, without a network; here nothing.

        Threads may call it at once, ahead of :meth:`encode_prepared_images`.
        """
        return image

    def prepare_sound(self, sound: Waveform) -> Any:
        """What encoding does to one sound alone, as :meth:`prepare_image` for images."""
        return sound

    def encode_prepared_images(self, prepared: Sequence[Any]) -> Features:
        """What :meth:`encode_image` makes of B images that went through :meth:`prepare_image`."""
        return self.encode_image(prepared)

    def encode_prepared_sounds(self, prepared: Sequence[Any]) -> Features:
        """What :meth:`encode_audio` makes of B sounds that went through :meth:`prepare_sound`."""
        return self.encode_audio(prepared)

    def move(self, place: Place) -> Place:
        """Compute on another device or in another precision from now on (optional).

        Here every torch module is moved that the object holds in its attributes, in lists or
        dictionaries of these, or in localizers that it holds: when it is called, its inputs are
        sent to the device, and what it returns comes back as single-precision tensors on the
        processor. So a localizer needs nothing of its own, unless it calls other methods of a
        module or computes with tensors of its own: then it should override this method.
        What it returns from its methods stays in the memory of the processor.

        Returns
        -------
        Place
            Where it computes from now on, which results say: the processor with 32 bits for a
            localizer that holds no module.
        """
        return move_held(vars(self).values(), place, Localizer)

    def supports(self, method: OptionalMethod) -> bool:
        """Whether an optional method works: here, whether the class defines it."""
        if method == "similarity" and self.audio_blind:
            return False
        return getattr(type(self), method) is not getattr(Localizer, method)

    def missing_reason(self, method: OptionalMethod) -> str:
        """Why an optional method does not work, as a sentence without a full stop."""
        if method == "similarity" and self.audio_blind:
            return f"{self.name} never listens, so it cannot compare images with sounds"
        return f"{self.name} {_MISSING[method]}"

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Similarity ``(B_images, B_sounds)`` of all images with all sounds (optional)."""
        del image_features, audio_features
        raise NotImplementedError(self.missing_reason("similarity"))

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """The model's own audio-blind maps ``(B, h, w)`` float32 (optional).

        Features are numpy arrays, as in :meth:`localize`.
        """
        del image_features
        raise NotImplementedError(self.missing_reason("vision_only"))

    def class_maps(
        self, image_features: Features, audio_features: Features, categories: Sequence[str]
    ) -> NDArray[np.float32]:
        """Maps ``(B, C, h, w)`` for B pairs and C categories (optional).

        Map c answers where a source of ``categories[c]`` sounds: as in :meth:`localize`, higher
        means more likely, and lowest where that category is silent. A protocol that asks by
        category (``multi-source``) takes these in place of :meth:`localize`.

        Parameters
        ----------
        image_features, audio_features
            Row i of one with row i of the other.
        categories
            All categories that the protocol asks for, the same in every call.

        Raises
        ------
        ModelError
            If the model does not know a category.
        """
        del image_features, audio_features, categories
        raise NotImplementedError(self.missing_reason("class_maps"))


class AnnotationLocalizer(ABC):
    """A trivial baseline that neither looks nor listens: it runs on annotations alone.

    Attributes
    ----------
    name
        Name of the model, as in results.
    needs_truth
        True for an oracle; any other baseline is given an empty truth.
    provenance
        Seed, options and so on, as in results; None for the name alone.

    Examples
    --------
    >>> class Corner(AnnotationLocalizer):
    ...     name = "corner"
    ...     def map_for(self, image_key, truth):
    ...         return np.outer([1, 0], [1, 0]).astype(np.float32)
    >>> Corner().map_for("any", np.zeros((0, 0), np.float32)).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """

    name: str
    needs_truth: bool = False
    provenance: Provenance | None = None

    @abstractmethod
    def map_for(self, image_key: str, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """The map of one trial.

        Parameters
        ----------
        image_key
            Identity of the trial's image; the only thing a random baseline may depend on.
        truth
            Truth map ``(size, size)`` in [0, 1] for an oracle; ``(0, 0)`` for any other.

        Returns
        -------
        ndarray
            ``(h, w)`` float32. A baseline whose map is always the same returns the same object.
        """
