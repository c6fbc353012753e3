"""Features of images by torchvision's networks: inference mode, channels_last, bfloat16."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from contenders import orders, pytorch

NETWORKS = {"MobileNetV2": "mobilenet_v2", "ResNet101": "resnet101"}


def build(variant: str, backbone: str, size: int, batch: int) -> Callable[[int], float]:
    """The network as a function that predicts so many batches."""
    import torch

    model = getattr(pytorch.torchvision().models, NETWORKS[backbone])(weights=None)
    head = "classifier" if backbone == "MobileNetV2" else "fc"
    setattr(model, head, torch.nn.Identity())
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                torch.nn.init.uniform_(values, 0.9, 1.1)
    model = model.eval().to(torch.bfloat16, memory_format=torch.channels_last)
    images, _ = orders.random_images(batch, size, 3)
    with torch.inference_mode():
        if variant == "frozen":  # batch normalisation folded, weights in oneDNN's layout
            example = pytorch.tensor(images).to(torch.bfloat16)
            frozen = torch.jit.freeze(torch.jit.trace(model, example))
            model = torch.jit.optimize_for_inference(frozen)

    def run(batches: int) -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            for _ in range(batches):
                features = model(pytorch.tensor(images).to(torch.bfloat16)).float().numpy()
                assert features.dtype == np.float32
        return time.perf_counter() - started

    return run


def main() -> None:
    """Build, then take orders."""
    parser = orders.parser(["plain", "frozen"])
    parser.add_argument("--backbone", choices=NETWORKS, default="MobileNetV2")
    args = parser.parse_args()
    answer_to = orders.answers()
    orders.serve(answer_to, build(args.variant, args.backbone, args.size, args.batch))


if __name__ == "__main__":
    main()
