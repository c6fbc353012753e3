"""params.yaml, section `train`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ferpipe.params.reader import Fraction, Section, Seed, Sha256, explained

BACKBONES = (
    "compact",
    *("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"),
    *("ResNet50V2", "ResNet101V2", "ResNet152V2"),
    *("InceptionV3", "InceptionResNetV2", "Xception"),
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"),
    *("DenseNet121", "DenseNet169", "DenseNet201", "NASNetMobile", "NASNetLarge"),
    *(f"EfficientNetB{size}" for size in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
)

# Minimum input side of a network, in pixels; 32 if it is not listed.
MIN_INPUT = {"compact": 16, "InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}


Side = Annotated[int, Field(ge=16, le=1024)]


class Augment(Section):
    """Random augmentation of training images, drawn anew in every epoch."""

    flip: bool
    """mirror images with probability 0.5"""
    rotate: Annotated[float, Field(ge=0, le=180)]
    """rotation in degrees, drawn from [-x, x]"""
    shift: Fraction
    """shift along each axis as a fraction of the side, drawn from [-x, x]"""
    zoom: Fraction
    """zoom factor, drawn from [1/(1+x), 1+x], uniformly on a logarithmic scale"""
    contrast: Fraction
    """contrast factor, drawn from [1/(1+x), 1+x], uniformly on a logarithmic scale"""


class Train(Section):
    """The network and its training."""

    backbone: Literal[BACKBONES]  # type: ignore[valid-type]
    """compact (small residual network), or the name of a keras.applications network"""
    weights: Annotated[str, Field(min_length=1)]
    """initial weights of the backbone: none (random), imagenet, or a file's path"""
    weights_sha256: Sha256 | None
    """SHA-256 of the weights file; required with a path, otherwise null"""
    input_size: Annotated[
        Side | Annotated[list[Side], Field(min_length=1, max_length=4)],
        explained("should be a side from 16 to 1024 pixels, or a list of up to four sides"),
    ]
    """side of the backbone's input in pixels, or a list of sides for a solved head; the model
    resizes the cached images"""
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    """images per training step"""
    batchnorm: Literal["frozen", "updated"]
    """BatchNorm layers with pretrained weights: frozen (weights and statistics), or updated"""
    batchnorm_momentum: Annotated[float, Field(ge=0, lt=1)] | None
    """momentum of BatchNorm statistics; null: averages over a tenth of an epoch (Keras: 0.99)"""
    head: Literal["trained", "solved"]
    """trained (gradient descent) or solved (ridge regression on HOG features and feature maps)"""
    ridge: Annotated[
        Literal["auto"] | Annotated[float, Field(gt=0, le=1000)],
        explained("should be auto, or a number above 0 and up to 1000"),
    ]
    """L2 penalty of a solved head, divided by the number of features; auto: the best on val"""
    augmented_copies: Annotated[int, Field(ge=0, le=100)]
    """augmented copies of each training image for a solved head"""
    mirror_average: bool
    """average the features of an image and its mirror image; solved head only"""
    head_epochs: Annotated[int, Field(ge=0, le=10_000)]
    """epochs that train only the head, on a frozen backbone, before fine-tuning"""
    head_learning_rate: Annotated[float, Field(gt=0, le=10)]
    """constant learning rate during head_epochs"""
    epochs: Annotated[int, Field(ge=0, le=10_000)]
    """epochs that train the whole network; 0: none, with a solved head only"""
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    """peak learning rate during epochs, reached after warm-up"""
    schedule: Literal["constant", "cosine"]
    """learning rate after warm-up: constant, or cosine (decays to 0)"""
    warmup_epochs: Annotated[int, Field(ge=0, le=1000)]
    """epochs of linear warm-up of the learning rate"""
    optimizer: Literal["adam", "adamw", "sgd"]
    """adam, adamw or sgd (momentum 0.9)"""
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    """decoupled weight decay on kernels (adamw and sgd); 0: off"""
    clip_norm: Annotated[float, Field(ge=0)]
    """maximum global norm of the gradients; 0: no clipping"""
    label_smoothing: Fraction
    """fraction of each label that is spread evenly over all classes"""
    dropout: Fraction
    """dropout rate on the features before the logits"""
    class_weights: Literal["none", "balanced"]
    """weights in the loss: none, or balanced (inverse class frequency)"""
    augment: Augment
    """random augmentation of training images"""
    monitor: Literal["loss", "accuracy", "none"]
    """validation metric that selects the epoch (loss is less noisy on a small split); none: the
    last epoch"""
    early_stopping: Annotated[int, Field(ge=0)]
    """epochs without improvement before training stops; 0: never"""
    backend: Literal["tensorflow", "jax"]
    """tensorflow, or jax (an extra of the package, meant for a GPU)"""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"]
    """compute precision of training, and of the features for a solved head where a processor has
    bfloat16; weights are always float32, and so is a network that is not trained (epochs 0)"""
    deterministic: bool
    """identical bytes on the same kind of processor, with any number of cores"""
    seed: Seed
    """random seed of initial weights, image order, augmentation and dropout"""

    @property
    def input_sizes(self) -> list[int]:
        """`input_size` as a list."""
        return self.input_size if isinstance(self.input_size, list) else [self.input_size]

    @model_validator(mode="after")
    def _fits_together(self) -> Train:
        if self.weights == "imagenet" and self.backbone == "compact":
            raise ValueError("weights = 'imagenet': there are none for the backbone 'compact'")
        if self.weights in ("none", "imagenet") and self.weights_sha256 is not None:
            raise ValueError("weights_sha256 goes with the path of a weights file")
        if self.weights not in ("none", "imagenet") and self.weights_sha256 is None:
            # DVC watches no path here, so the hash is what makes another file another experiment.
            raise ValueError(f"weights = {self.weights!r} needs weights_sha256, the file's SHA-256")
        if self.weights == "none" and self.head_epochs > 0:
            raise ValueError("head_epochs trains on a frozen backbone; with random weights use 0")
        if self.head == "solved" and self.head_epochs > 0:
            raise ValueError("head = 'solved' leaves nothing for head_epochs to train; use 0")
        if self.head == "trained" and self.epochs == 0:
            raise ValueError("epochs = 0 needs head = 'solved'; a trained head needs epochs")
        if self.optimizer == "adam" and self.weight_decay > 0:
            raise ValueError("weight_decay needs the optimizer adamw or sgd; with adam use 0")
        if self.monitor == "none" and self.early_stopping > 0:
            raise ValueError("early_stopping needs a metric; set monitor to loss or accuracy")
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"warmup_epochs = {self.warmup_epochs} is more than epochs = {self.epochs}; "
                "lower it too"
            )
        least = MIN_INPUT.get(self.backbone, 32)
        if min(self.input_sizes) < least:
            raise ValueError(
                f"input_size = {min(self.input_sizes)}: {self.backbone} takes {least} pixels or "
                "more; raise input_size, the model resizes the cached images itself"
            )
        if len(set(self.input_sizes)) < len(self.input_sizes):
            raise ValueError(f"input_size = {self.input_size} lists a size twice")
        if len(self.input_sizes) > 1 and self.head == "trained":
            raise ValueError("input_size lists several sizes, which needs head = 'solved'")
        if len(self.input_sizes) > 1 and self.backbone.startswith("NASNet"):
            raise ValueError(f"input_size lists several sizes, but {self.backbone} takes one only")
        return self
