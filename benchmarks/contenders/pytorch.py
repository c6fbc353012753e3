"""PyTorch: torchvision's ResNet101, channels_last, bfloat16 autocast, AdamW.

With `--data` and `--save` it is a whole short run: two epochs on given images, then the weights.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from contenders import orders

# The handle that keeps torchvision's operators defined; see `torchvision`.
_operators: list[Any] = []


def torchvision() -> Any:
    """Import torchvision; resnet needs none of its compiled operators.

    A torchvision wheel built for CUDA with a CPU build of torch lacks its compiled operators
    and would not import, so the two that its import asks for are declared without a body.
    """
    try:
        import torchvision
    except RuntimeError:
        import torch

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _operators.append(library)
        import torchvision
    return torchvision


def network(variant: str) -> tuple[Any, Callable[[Any, Any], float]]:
    """The model, and the function that takes one training step and returns the loss."""
    import torch

    model = torchvision().models.resnet101(weights=None, num_classes=orders.CLASSES)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device, memory_format=torch.channels_last).train()
    # `fused` is one kernel for all of AdamW, and `foreach` one for all of a norm.
    faster = None if variant == "default" else True
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=orders.LEARNING_RATE,
        weight_decay=orders.WEIGHT_DECAY,
        fused=faster,
    )

    compiled = torch.compile(model) if variant == "compiled" else model

    def step(x: Any, y: Any) -> float:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16):
            logits = compiled(x)
        loss = torch.nn.functional.cross_entropy(logits.float(), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), orders.CLIP_NORM, foreach=faster)
        optimizer.step()
        return loss.item()

    return model, step


def tensor(images: np.ndarray) -> Any:
    """Images uint8 (n, side, side, 3) as float32 (n, 3, side, side), -1..1, channels last."""
    import torch

    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    return x.contiguous(memory_format=torch.channels_last)


def build(variant: str, size: int, batch: int) -> Callable[[int], float]:
    """The network as a function that trains so many steps."""
    import torch

    model, step = network(variant)
    device = next(model.parameters()).device
    images, labels = orders.random_images(batch, size, 3)
    x, y = tensor(images).to(device), torch.from_numpy(labels).to(device)

    def train(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            assert np.isfinite(step(x, y))
        return time.perf_counter() - started

    return train


def run(variant: str, data: str, save: str, batch: int, epochs: int) -> None:
    """Train on a file's images, evaluate each epoch, and save the weights."""
    import torch

    arrays = np.load(data)
    model, step = network(variant)
    x, y = tensor(arrays["train_images"]), torch.from_numpy(arrays["train_labels"])
    val_x, val_y = tensor(arrays["val_images"]), torch.from_numpy(arrays["val_labels"])
    for _ in range(epochs):
        model.train()
        for some in torch.randperm(len(y)).split(batch):
            step(x[some], y[some])
        model.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            right = sum(
                int((model(images).argmax(1) == labels).sum())
                for images, labels in zip(val_x.split(batch), val_y.split(batch), strict=True)
            )
        print(f"accuracy {right / len(val_y):.3f}")
    torch.save(model.state_dict(), save)


def main() -> None:
    """Build, then take orders; or one whole run."""
    parser = orders.parser(["fused", "default", "compiled"])
    parser.add_argument("--data", help="npz of images to train on, for a whole run")
    parser.add_argument("--save", help="where a whole run saves the weights")
    parser.add_argument("--epochs", type=int, default=2, help="of a whole run")
    args = parser.parse_args()
    answer_to = orders.answers()
    if args.data:
        run(args.variant, args.data, args.save, args.batch, args.epochs)
    else:
        train = build(args.variant, args.size, args.batch)
        orders.serve(answer_to, train)


if __name__ == "__main__":
    main()
