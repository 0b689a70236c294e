"""Localizers made of any torch modules: one that encodes images, and one that encodes sounds."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import InstanceOf
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ssl_bench.arguments import ArgumentError, checked_arguments
from ssl_bench.errors import ModelError, blamed
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer, OptionalMethod
from ssl_bench.models.devices import PROCESSOR, Place
from ssl_bench.models.embedding_localizer import cosine_maps, largest_cosines
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.sounds import FrontEnd, LogPowerAudio, SoundInput
from ssl_bench.models.sounds import prepare_sound as prepare_by
from ssl_bench.models.trained import encode_by_shape

Encoder = Callable[[Tensor], Tensor]
"""A torch module, a method of one, or a function that calls some."""

ImageLoader = Callable[[NDArray[np.uint8]], Tensor | NDArray[Any]]
SoundLoader = Callable[[Waveform], Tensor | NDArray[Any]]

# Pairs of one image with sounds that a similarity of one's own is given at once.
_SOUNDS_AT_ONCE = 64


class WrappedLocalizer(Localizer):
    """A localizer made of torch modules that know nothing of this package; see :func:`wrap`.

    Image features are ``visual (B, D, h, w)``, and ``blind (B, h, w)`` where there is an
    audio-blind map; audio features are ``audio (B, D)``; all float32. For cosines, they have unit
    length over D.
    """

    # The code of modules and functions lies anywhere, so that parts of an interrupted run are not
    # known to be of the same model.
    code_is_known: ClassVar[bool] = False

    def __init__(
        self,
        name: str,
        functions: Mapping[str, Callable[..., Tensor] | None],
        preprocess_image: ImagePreprocessing | ImageLoader,
        preprocess_sound: FrontEnd | SoundLoader,
    ) -> None:
        self.name = name
        self._functions = {key: each for key, each in functions.items() if each is not None}
        self._modules = {key: modules_of(each) for key, each in self._functions.items()}
        self._preprocess_image = preprocess_image
        self._preprocess_sound = preprocess_sound
        self._place = Place(_device_of(self._all_modules()))
        device, _ = self._place.described()
        self._stated = Provenance(
            name,
            preset=self.preset,
            options={
                **{
                    key: _label(each)
                    for key, each in self._functions.items()
                    if key in ("similarity", "vision_only")
                },
                "preprocess_image": _label(preprocess_image),
                "preprocess_sound": _label(preprocess_sound),
            },
            device=device,
        )

    @property
    def provenance(self) -> Provenance:
        """Name, preprocessing, and the digest of the weights as they are now."""
        if self._stated.weights_sha256 is not None:
            return self._stated
        return self._stated.model_copy(update={"weights_sha256": self._digest()})

    @provenance.setter
    def provenance(self, stated: Provenance) -> None:
        # Training may go on: the digest of now is not to be kept.
        kept = None if stated.weights_sha256 == self._digest() else stated.weights_sha256
        self._stated = stated.model_copy(update={"weights_sha256": kept})

    @property
    def sound_input(self) -> SoundInput | None:
        """Which sounds the front end takes; None for preprocessing of one's own."""
        front_end = self._preprocess_sound
        return front_end if isinstance(front_end, FrontEnd) else None

    @property
    def image_input(self) -> ImagePreprocessing | None:
        """How images are resized; None for preprocessing of one's own."""
        chosen = self._preprocess_image
        return chosen if isinstance(chosen, ImagePreprocessing) else None

    def move(self, place: Place) -> Place:
        """Compute on another device or in another precision; stays where it holds no module."""
        modules = self._all_modules()
        for module in modules:
            module.to(place.device)
        self._place = place if modules else PROCESSOR
        return self._place

    def prepare_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The image as the encoder takes it, such as ``(3, 224, 224)`` float32."""
        chosen = self._preprocess_image
        if isinstance(chosen, ImagePreprocessing):
            [pixels] = prepare_images([image], chosen)
            return np.asarray(pixels, np.float32)
        with blamed(f"{self.name}: preprocess_image"):
            return _prepared("preprocess_image", self.name, chosen(image))

    def prepare_sound(self, sound: Waveform) -> NDArray[np.float32]:
        """The sound as the encoder takes it, such as ``(1, 257, 200)`` float32."""
        chosen = self._preprocess_sound
        if isinstance(chosen, FrontEnd):
            return prepare_by(sound, chosen)
        with blamed(f"{self.name}: preprocess_sound"):
            return _prepared("preprocess_sound", self.name, chosen(sound))

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features of B images; see :meth:`encode_prepared_images`."""
        return self.encode_prepared_images([self.prepare_image(image) for image in images])

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Features of B sounds; see :meth:`encode_prepared_sounds`."""
        return self.encode_prepared_sounds([self.prepare_sound(sound) for sound in sounds])

    def encode_prepared_images(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features ``visual (B, D, h, w)``, and ``blind (B, h, w)``, of B prepared images."""
        shapes = sorted({each.shape for each in prepared})
        if len(shapes) > 1:
            raise ModelError(
                f"preprocess_image gives images of the shapes {shapes[0]} and {shapes[1]}, which "
                "are not one batch",
                code="E_ENCODER_INPUT",
                where=self.name,
                remedy="resize all images to one size in it",
            )
        with self._computing():
            given = self._place.send(np.stack(prepared))
            visual = self._called("image_encoder", "(B, D, h, w)", given)
            found = {}
            if "vision_only" in self._functions:
                maps = self._called("vision_only", "(B, h, w)", visual)
                found["blind"] = self._place.fetch(maps)
            if "similarity" not in self._functions:
                visual = nn.functional.normalize(visual.float(), dim=1)
            return {"visual": self._place.fetch(visual), **found}

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features ``audio (B, D)`` of B prepared sounds, which may differ in size."""

        def encode(sounds: Tensor) -> Tensor:
            audio = self._called("audio_encoder", "(B, D)", sounds)
            if "similarity" in self._functions:
                return audio
            return nn.functional.normalize(audio.float(), dim=1)

        with self._computing():
            return {"audio": encode_by_shape(prepared, encode, self._place)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32."""
        visual, audio = image_features["visual"], audio_features["audio"]
        if "similarity" in self._functions:
            return self._compared(visual, audio)
        self._require_one_length(visual, audio)
        return cosine_maps(visual, audio)

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Largest value of each pair's map, ``(B_images, B_sounds)`` float32."""
        visual, audio = image_features["visual"], audio_features["audio"]
        if "similarity" not in self._functions:
            self._require_one_length(visual, audio)
            return largest_cosines(visual, audio)
        starts = range(0, len(audio), _SOUNDS_AT_ONCE)
        parts = [audio[start : start + _SOUNDS_AT_ONCE] for start in starts]
        rows = [np.concatenate([self._largest(image, part) for part in parts]) for image in visual]
        return np.stack(rows)

    def supports(self, method: OptionalMethod) -> bool:
        """Whether an optional method works; an audio-blind map only if a function was given."""
        given = method != "vision_only" or "vision_only" in self._functions
        return super().supports(method) and given

    def missing_reason(self, method: OptionalMethod) -> str:
        """Why an optional method does not work, as a sentence without a full stop."""
        if method == "vision_only":
            return f"{self.name} was wrapped without vision_only, which makes an audio-blind map"
        return super().missing_reason(method)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """The model's own audio-blind maps ``(B, h, w)`` float32, if it was given a function."""
        if not self.supports("vision_only"):
            raise NotImplementedError(self.missing_reason("vision_only"))
        blind: NDArray[np.float32] = image_features["blind"]
        return blind

    def _largest(self, image: NDArray[np.float32], audio: NDArray[np.float32]) -> NDArray[Any]:
        same = np.broadcast_to(image, (len(audio), *image.shape))
        maps = self._compared(np.ascontiguousarray(same), audio)
        return np.asarray(maps.reshape(len(maps), -1).max(axis=1))

    def _compared(
        self, visual: NDArray[np.float32], audio: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        with self._computing():
            given = (self._place.send(np.ascontiguousarray(each)) for each in (visual, audio))
            return self._place.fetch(self._called("similarity", "(B, h, w)", *given))

    def _called(self, function: str, wanted: str, *given: Tensor) -> Tensor:
        """What one of the functions returns; ModelError unless it is a tensor of that form."""
        shapes = " and ".join(str(tuple(each.shape)) for each in given)
        with blamed(f"{self.name}: {function}, given {shapes},"):
            found: object = self._functions[function](*given)
        number = f"B = {len(given[0])}"
        if not isinstance(found, Tensor):
            raise ModelError(
                f"{function} returns a {type(found).__name__}, and not a tensor",
                code="E_ENCODER_OUTPUT",
                where=self.name,
                remedy=f"return a tensor {wanted} with {number}, by a function around the module "
                "that picks it",
            )
        shape = tuple(found.shape)
        if len(shape) != wanted.count(",") + 1 or len(found) != len(given[0]) or 0 in shape:
            raise ModelError(
                f"{function} returns the shape {shape} for an input of {shapes}",
                code="E_ENCODER_OUTPUT",
                where=self.name,
                remedy=f"return {wanted} with {number}" + _hint(function, shape),
            )
        return found

    def _require_one_length(self, visual: NDArray[Any], audio: NDArray[Any]) -> None:
        if visual.shape[1] != audio.shape[1]:
            raise ModelError(
                f"image_encoder returns vectors of D = {visual.shape[1]} numbers, as "
                f"{('B', *visual.shape[1:])}, and audio_encoder of D = {audio.shape[1]}".replace(
                    "'", ""
                ),
                code="E_ENCODER_OUTPUT",
                where=self.name,
                remedy="return (B, D, h, w) and (B, D) with one D, or give a similarity of your "
                "own",
            )

    def _all_modules(self) -> list[nn.Module]:
        return list(dict.fromkeys(each for held in self._modules.values() for each in held))

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Evaluation mode, which ends as it was, at the place and without gradients."""
        with ExitStack() as stack:
            for module in self._all_modules():
                stack.enter_context(_evaluating(module))
            stack.enter_context(self._place.computing())
            yield

    def _digest(self) -> str | None:
        """SHA-256 of the weights by their names; None without a module."""
        if not any(self._modules.values()):
            return None
        digest = hashlib.sha256()
        for function, modules in sorted(self._modules.items()):
            for number, module in enumerate(modules):
                digest.update(f"{function} {number}\n".encode())
                for key, value in sorted(module.state_dict().items()):
                    digest.update(_bytes_of(key, value))
        return digest.hexdigest()


@checked_arguments
def wrap(
    image_encoder: Encoder,
    audio_encoder: Encoder,
    *,
    name: str,
    preprocess_image: InstanceOf[ImagePreprocessing] | ImageLoader | None = None,
    preprocess_sound: InstanceOf[FrontEnd] | SoundLoader | None = None,
    similarity: Callable[[Tensor, Tensor], Tensor] | None = None,
    vision_only: Encoder | None = None,
) -> WrappedLocalizer:
    """Make a localizer of two torch modules, whose maps are cosine similarities.

    All that is called may be a module, a method of one, or a function that calls modules. Modules
    are used as they are, without a copy: in evaluation mode, without gradients, and on the device
    where they lie, or that an evaluation asks for. Afterwards they are in the mode that they had.

    Parameters
    ----------
    image_encoder
        Takes a batch of preprocessed images ``(B, 3, H, W)`` float32, and returns ``(B, D, h, w)``:
        a vector of D numbers for each place of a grid.
    audio_encoder
        Takes a batch of preprocessed sounds, by default ``(B, 1, 257, 200)`` float32, and returns
        ``(B, D)``.
    name
        Name of the model, as in results.
    preprocess_image
        From an image ``(height, width, 3)`` uint8 RGB to what the encoder takes, without the axis
        of the batch. None resizes it to 224 x 224 pixels (bicubic) and normalises it by ImageNet's
        mean and standard deviation; ``ImagePreprocessing(side=112)`` does so at another size.
    preprocess_sound
        From a :class:`ssl_bench.Waveform` to what the encoder takes, without the axis of the batch.
        None makes the log-power spectrogram of EZ-VSL of the 3 seconds in the middle, at 16 kHz:
        other sounds are converted. Any other front end of :mod:`ssl_bench.models.sounds` is taken,
        too.
    similarity
        From encoded images ``(B, D, h, w)`` and sounds ``(B, D)`` to maps ``(B, h, w)``, row i of
        one with row i of the other; higher where the sound is more likely to come from. None for
        the cosine.
    vision_only
        From encoded images ``(B, D, h, w)`` to the model's own audio-blind maps ``(B, h, w)``; None
        if it has none.

    Returns
    -------
    WrappedLocalizer
        A localizer, for :func:`ssl_bench.evaluate` and everything else that takes one. The
        similarity of an image and a sound (for ``retrieval``) is the largest value of their map.
        Results name the digest of the modules' weights.

    Raises
    ------
    ArgumentError
        If an argument is unknown or cannot be called, or the name is no text.

    Examples
    --------
    >>> import ssl_bench
    >>> from torch import nn
    >>> model = ssl_bench.wrap(
    ...     image_encoder=nn.Conv2d(3, 8, 16, stride=16),
    ...     audio_encoder=nn.Sequential(nn.Flatten(), nn.LazyLinear(8)),
    ...     name="my-model",
    ... )
    >>> sounds = [ssl_bench.Waveform(np.ones((48000, 1), np.int16), 16000)]
    >>> seen = model.encode_image([np.zeros((60, 80, 3), np.uint8)])
    >>> model.localize(seen, model.encode_audio(sounds)).shape
    (1, 14, 14)
    """
    functions = {
        "image_encoder": image_encoder,
        "audio_encoder": audio_encoder,
        "similarity": similarity,
        "vision_only": vision_only,
    }
    preprocessing = {"preprocess_image": preprocess_image, "preprocess_sound": preprocess_sound}
    for argument, given in {**functions, **preprocessing}.items():
        if isinstance(given, type):
            raise ArgumentError(
                f"wrap: {argument} is a class, which cannot be used",
                remedy=f"give an instance of the class, such as {given.__name__}()",
            )
    return WrappedLocalizer(
        name,
        functions,
        preprocess_image or ImagePreprocessing(),
        preprocess_sound or LogPowerAudio(resample=True),
    )


def modules_of(function: Callable[..., Any]) -> tuple[nn.Module, ...]:
    """The torch modules that a callable is, belongs to, or names.

    Examples
    --------
    >>> network = nn.Linear(2, 3)
    >>> modules_of(lambda inputs: network(inputs)) == modules_of(network.forward) == (network,)
    True
    """
    if isinstance(function, nn.Module):
        return (function,)
    if isinstance(function, functools.partial):
        given = (function.func, *function.args, *function.keywords.values())
        held = [modules_of(each) for each in given if callable(each)]
        return tuple(dict.fromkeys(each for found in held for each in found))
    owner = getattr(function, "__self__", None)
    if isinstance(owner, nn.Module):
        return (owner,)
    if not inspect.isfunction(function):
        values: list[Any] = list(vars(function).values()) if hasattr(function, "__dict__") else []
    else:
        named = inspect.getclosurevars(function)
        values = [*named.nonlocals.values(), *named.globals.values()]
    return tuple(dict.fromkeys(each for each in values if isinstance(each, nn.Module)))


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    training = [each for each in module.modules() if each.training]
    module.eval()
    try:
        yield
    finally:
        for each in training:
            each.training = True


def _device_of(modules: Sequence[nn.Module]) -> str:
    """Where the first weight of some modules lies, as torch names it."""
    for module in modules:
        for weight in module.parameters():
            return str(weight.device)
    return PROCESSOR.device


def _bytes_of(key: str, value: Any) -> bytes:
    # A lazy module has no weights before it has been called.
    if not isinstance(value, Tensor) or is_lazy(value):
        return f"{key} {type(value).__name__} {value!r}\n".encode()
    stored = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return f"{key} {value.dtype} {tuple(value.shape)}\n".encode() + stored


def _prepared(function: str, name: str, found: object) -> NDArray[np.float32]:
    """What preprocessing of one's own returns, as an array."""
    if isinstance(found, Tensor):
        found = found.detach().float().cpu().numpy()
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub":
        raise ModelError(
            f"{function} returns a {type(found).__name__}, and not a tensor of numbers",
            code="E_ENCODER_INPUT",
            where=name,
            remedy="return a tensor without the axis of the batch, such as (3, H, W) of an image",
        )
    return np.ascontiguousarray(found, np.float32)


def _hint(function: str, shape: tuple[int, ...]) -> str:
    if function == "image_encoder" and len(shape) == 3:
        return (
            "; of tokens (B, h * w, D), that is "
            "tokens.transpose(1, 2).unflatten(2, (h, w)), without the class token"
        )
    if function == "image_encoder" and len(shape) == 2:
        return ": the features before they are pooled over places"
    if function == "audio_encoder" and len(shape) > 2:
        return ", such as the mean over the axes that are left"
    return ""


def _label(function: object) -> str:
    """What results say of a function, or of settings."""
    if isinstance(function, ImagePreprocessing):
        return f"{function.resize} to {function.side}"
    if isinstance(function, FrontEnd):
        kind = getattr(function, "spectrogram", type(function).__name__)
        return f"{kind}, {function.seconds:g} s{', resampled' if function.resample else ''}"
    return str(getattr(function, "__qualname__", type(function).__qualname__))
