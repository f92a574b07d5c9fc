"""torchvision's VGG19 → the file that `--features` of the recipes names.

    python pipelines/own-photographs/perceptual_weights.py vgg19.safetensors [--checkpoint vgg19-dcbb9e9d.pth]

Without `--checkpoint` torchvision downloads its weights (548 MB, BSD-3-Clause). What they were trained to see is what
the first stage learns to keep; they do not become part of a pipeline.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torchvision.models import VGG19_Weights, vgg19

from sgc_diffusion.features.vgg19 import CONVOLUTIONS_PER_GROUP

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # that torchvision's was fed with


def convert(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors as `features.vgg19` names them; a 1×1 convolution brings RGB to the network's range."""
    state = {"conv0.weight": torch.diag(1 / STD).reshape(3, 3, 1, 1), "conv0.bias": -MEAN / STD}
    layers = iter(layer for layer in network.features if isinstance(layer, torch.nn.Conv2d))
    for group, count in enumerate(CONVOLUTIONS_PER_GROUP, 1):
        for index in range(1, count + 1):
            layer = next(layers)
            state[f"conv{group}{index}.weight"] = layer.weight.detach().contiguous()
            state[f"conv{group}{index}.bias"] = layer.bias.detach()
    return state


def main() -> None:
    """Read the arguments and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="torchvision's file, where there is one already")
    arguments = parser.parse_args()
    if arguments.checkpoint is None:
        network = vgg19(weights=VGG19_Weights.IMAGENET1K_V1)
    else:
        network = vgg19()
        network.load_state_dict(torch.load(arguments.checkpoint, weights_only=True))
    save_file(convert(network), arguments.output)


if __name__ == "__main__":
    main()
