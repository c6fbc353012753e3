"""params.yaml, section `train`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ferpipe.params.reader import Section, Sha256

Share = Annotated[float, Field(ge=0, lt=1)]

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

# The smallest side that a network takes, in pixels; 32 where it is not named.
LEAST_INPUT = {"compact": 16, "InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}


class Augment(Section):
    """Random changes of the training images, anew in each epoch."""

    flip: bool = Field(description="mirror half of the images")
    rotate: Annotated[float, Field(ge=0, le=180)] = Field(description="up to this many degrees")
    shift: Share = Field(description="up to this share of the side")
    zoom: Share = Field(description="larger or smaller by a factor of up to 1 + this")
    contrast: Share = Field(description="more or less by a factor of up to 1 + this")


class Train(Section):
    """The network and how it learns."""

    backbone: Literal[BACKBONES] = Field(  # type: ignore[valid-type]
        description="compact: our small residual network; the rest are of keras.applications"
    )
    weights: Annotated[str, Field(min_length=1)] = Field(
        description="where the backbone starts: none (random), imagenet, or a weights file's path"
    )
    weights_sha256: Sha256 | None = Field(description="SHA-256 of the weights file")
    input_size: Annotated[int, Field(ge=16, le=1024)] = Field(
        description="side of what the backbone sees, in pixels; resized inside the model"
    )
    batch_size: Annotated[int, Field(ge=1, le=4096)] = Field(description="images in one step")
    batchnorm: Literal["frozen", "updated"] = Field(
        description="frozen: BatchNorm layers that come with weights keep their statistics"
    )
    head: Literal["trained", "solved"] = Field(
        description="trained: by steps, on the backbone's output; solved: ridge regression, "
        "exactly, on gradients' histograms and the backbone's features"
    )
    ridge: Annotated[float, Field(gt=0, le=1000)] = Field(
        description="how small a solved head's weights are kept"
    )
    views: Annotated[int, Field(ge=0, le=100)] = Field(
        description="changed copies of every training image that a solved head sees"
    )
    head_epochs: Annotated[int, Field(ge=0, le=10_000)] = Field(
        description="epochs of the head alone, the backbone frozen, before fine-tuning"
    )
    head_learning_rate: Annotated[float, Field(gt=0, le=10)] = Field(
        description="learning rate of those epochs"
    )
    epochs: Annotated[int, Field(ge=0, le=10_000)] = Field(
        description="epochs of the whole network; 0 with a solved head: none"
    )
    learning_rate: Annotated[float, Field(gt=0, le=10)] = Field(
        description="learning rate after warm-up"
    )
    schedule: Literal["constant", "cosine"] = Field(
        description="course of the learning rate after warm-up; cosine falls to 0 at the end"
    )
    warmup_epochs: Annotated[int, Field(ge=0, le=1000)] = Field(
        description="epochs over which the learning rate rises from 0"
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(description="sgd has momentum 0.9")
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        description="decoupled decay of kernels; 0: none"
    )
    clip_norm: Annotated[float, Field(ge=0)] = Field(
        description="largest norm of all gradients together; 0: no limit"
    )
    label_smoothing: Share = Field(
        description="share of each label that is spread over all classes"
    )
    dropout: Share = Field(description="share of the head's features dropped while training")
    class_weights: Literal["none", "balanced"] = Field(
        description="balanced: rare classes count for more in the loss"
    )
    augment: Augment = Field(description="random changes of the training images")
    monitor: Literal["loss", "accuracy"] = Field(
        description="what of val chooses the epoch; loss is steadier where val is small"
    )
    early_stopping: Annotated[int, Field(ge=0)] = Field(
        description="stop after this many epochs without a better one; 0: never"
    )
    backend: Literal["tensorflow", "jax"] = Field(
        description="what computes; jax is an extra of the package, for a GPU"
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        description="number format of the computation; weights are always float32"
    )
    deterministic: bool = Field(
        description="the same bytes on this kind of processor, whatever the number of cores"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        description="initial weights, order, augmentation and dropout"
    )

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
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"warmup_epochs = {self.warmup_epochs} is more than epochs = {self.epochs}; "
                "lower it too"
            )
        if self.input_size < LEAST_INPUT.get(self.backbone, 32):
            raise ValueError(
                f"input_size = {self.input_size}: {self.backbone} takes "
                f"{LEAST_INPUT.get(self.backbone, 32)} pixels or more; raise input_size, the "
                "model resizes the cached images itself"
            )
        return self
