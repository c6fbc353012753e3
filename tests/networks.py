"""Train params for tiny networks and tiny data."""

import hashlib

import numpy as np

from ferpipe.data import records
from ferpipe.params.train import Augment, Train

# 0 switches an augmentation off, false the flip.
NO_AUGMENT = Augment(**{name: name != "flip" and 0.0 for name in Augment.model_fields})


def train_params(**changes) -> Train:
    """The compact network on 16 px, two epochs of batches of eight, nothing random added."""
    values = {
        "backbone": "compact",
        "weights": "none",
        "weights_sha256": None,
        "input_size": 16,
        "batch_size": 8,
        "batchnorm": "frozen",
        "batchnorm_momentum": None,
        "head": "trained",
        "ridge": 0.3,
        "augmented_copies": 0,
        "mirror_average": False,
        "head_epochs": 0,
        "head_learning_rate": 1e-2,
        "epochs": 2,
        "learning_rate": 2e-3,
        "schedule": "constant",
        "warmup_epochs": 0,
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "label_smoothing": 0.0,
        "dropout": 0.2,
        "class_weights": "none",
        "augment": NO_AUGMENT,
        "monitor": "accuracy",
        "early_stopping": 0,
        "backend": "tensorflow",
        "precision": "float32",
        "deterministic": True,
        "seed": 3,
    }
    return Train(**values | changes)


def bars(count: int, seed: int, side: int = 16) -> records.Dataset:
    """Images of three classes, which differ in the position of a bright bar."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 3).astype(np.int32)
    images = rng.integers(0, 60, (count, side, side, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 + 5 * label : 6 + 5 * label] += 150
    return records.Dataset(images, labels, [f"c{label}/{i}.png" for i, label in enumerate(labels)])


def schema(side: int = 16, **changes) -> records.Schema:
    """The schema of `bars`."""
    values = {
        "image_size": side,
        "channels": 1,
        "classes": ["c0", "c1", "c2"],
        "shards": {},
        "images": {},
        "sha256": {},
        "selected_on_test": False,
    }
    return records.Schema(**values | changes)


def pretrained(path) -> dict[str, str]:
    """Write weights of the compact network; return the params that load them."""
    from ferpipe.model import backbones  # importing Keras takes seconds

    backbones.build("compact", 16, 1, "none").save_weights(path)
    return {"weights": str(path), "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def published(folder, classes, framing=None, familiar=None):
    """Write an untrained model for gray faces of 24x24 with a card; returns its path.

    `familiar` are records: the card says that the first half are its training images, and takes the
    limit of the feature distance from the others.
    """
    from ferpipe.evaluation import feature_network
    from ferpipe.evaluation.card import Card, publish
    from ferpipe.model import saving
    from ferpipe.model.backend import prepare
    from ferpipe.model.network import build_model, with_probabilities

    prepare(seed=1)
    model = with_probabilities(build_model(train_params(), 24, 1, classes=len(classes)))
    saving.save(model, folder / "trained.keras", classes)
    distance = None
    if familiar:
        train, held_out = map(familiar.take, np.array_split(np.arange(len(familiar.labels)), 2))
        distance = feature_network.measure(model, train, held_out.images, "val", 64)
    card = Card(
        classes=classes,
        image_size=24,
        channels=1,
        framing=framing,
        temperature=1.0,
        headline="98.4% of 189 test images correct",
        data="drawn faces",
        limits=["Not for photographs.", "Not for animals."],
        protocol="All images of a person are in one split.",
        params_sha256="0" * 64,
        feature_distance=distance,
    )
    publish(folder / "trained.keras", folder / "model.keras", card)
    return folder / "model.keras"
