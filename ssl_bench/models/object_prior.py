"""The object prior of EZ-VSL: where a classifier of objects is active, whatever sounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import load_into, read_checkpoint
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, NoOptions, Strict, checked
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture


class ClassifierArchitecture(Strict):
    """Shape of an object classifier; the defaults are torchvision's ResNet-18 for ImageNet.

    Attributes
    ----------
    trunk
        Shape of the trunk.
    classes
        Number of classes.
    """

    trunk: TrunkArchitecture = Field(default_factory=TrunkArchitecture)
    classes: PositiveInt = 1000


class ClassifierNetwork(ResidualTrunk):
    """An image trunk, global average pooling and a linear classifier.

    The state dict is that of torchvision's ResNet-18: the trunk's keys, ``fc.weight``, ``fc.bias``.

    Parameters
    ----------
    architecture
        Shape of the network.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=22))
    >>> tuple(network(torch.zeros(2, 3, 112, 112)).shape)
    (2, 22)
    """

    def __init__(self, architecture: ClassifierArchitecture) -> None:
        super().__init__(architecture.trunk, input_channels=3)
        self.fc = nn.Linear(architecture.trunk.channels, architecture.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, 3, H, W)``."""
        logits: Tensor = self.fc(super().forward(x).mean(dim=(2, 3)))
        return logits


class PriorPreprocessing(Strict):
    """Preprocessing of images; the defaults are those of EZ-VSL's code.

    Attributes
    ----------
    preset
        Its name, as in results.
    image
        The front end.
    """

    preset: str = "original"
    image: ImagePreprocessing = Field(default_factory=ImagePreprocessing)


class ObjectPrior(Localizer):
    """Mean absolute activation of a classifier's last map: L1 object-guided localization.

    The paper (EZ-VSL, section 3.3, equation 8) takes the L1 norm over channels, the authors' code
    the mean, as here. The two differ by a constant factor only.

    Image features are ``activation (B, h, w)`` float32, >= 0. Sounds are not encoded.

    Parameters
    ----------
    trunk
        The classifier without its pooling and last layer; it is put into evaluation mode.
    preprocessing
        Preprocessing of images.
    provenance
        Where the model comes from.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> preprocessing = PriorPreprocessing(image=ImagePreprocessing(side=112))
    >>> prior = ObjectPrior(ResidualTrunk(SMALL_TRUNK, input_channels=3), preprocessing)
    >>> prior.localize(prior.encode_image([np.zeros((90, 120, 3), np.uint8)]), {}).shape
    (1, 7, 7)
    """

    audio_blind = True

    def __init__(
        self,
        trunk: ResidualTrunk,
        preprocessing: PriorPreprocessing,
        *,
        provenance: Provenance | None = None,
    ) -> None:
        self.provenance = provenance or Provenance("ogl-l1", preset=preprocessing.preset)
        self.name = self.provenance.name
        self.preset = preprocessing.preset
        self._trunk = trunk.eval()
        self._preprocessing = preprocessing

    @classmethod
    def assemble(cls, assembly: Assembly) -> Self:
        """Build it from its recipe and the weights of a classifier, whose last layer is dropped.

        Raises
        ------
        ModelError
            If the recipe or an option is wrong.
        WeightsError
            If the weights are missing, damaged or belong to another network.
        """
        assembly.checked_options(NoOptions)
        architecture = checked(ClassifierArchitecture, assembly.architecture, assembly.recipe)
        preprocessing = checked(PriorPreprocessing, assembly.preprocessing, assembly.recipe)
        trunk = ResidualTrunk(architecture.trunk, input_channels=3)
        checkpoint = read_checkpoint(
            assembly.needed_weights(), expected_sha256=assembly.weights_sha256
        )
        recognised = load_into(trunk, checkpoint, ignored=("fc.weight", "fc.bias"))
        return cls(
            trunk,
            preprocessing,
            provenance=Provenance(
                assembly.name,
                variant=assembly.variant,
                preset=preprocessing.preset,
                weights_sha256=checkpoint.sha256,
                weights=recognised,
            ),
        )

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features ``activation (B, h, w)`` float32 of B images."""
        pixels = torch.from_numpy(prepare_images(images, self._preprocessing.image))
        with torch.inference_mode():
            return {"activation": self._trunk(pixels).abs().mean(dim=1).numpy()}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Nothing: an empty row for each sound."""
        return {"none": np.zeros((len(sounds), 0), np.float32)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32, whatever `audio_features` holds."""
        del audio_features
        return self.vision_only(image_features)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """The same maps ``(B, h, w)`` float32."""
        activation: NDArray[np.float32] = image_features["activation"]
        return activation
