"""Stand-ins for the weights of image networks, which are not in the tree."""

import hashlib

import numpy as np
import torch
from mfl_adapt_facelift_loss.trunk import ALEXNET, VGG16, VGG19, Conv
from scipy.io import savemat

MASK = np.uint64(0xFFFFFFFF)


def hashed(count, salt):
    """Numbers in [-1, 1] by the formula of the reference's README."""
    u = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(2654435761)
    u = (u + np.uint64(40503 * salt)) & MASK
    for shift, factor in ((15, 2246822519), (13, 3266489917)):
        u ^= u >> np.uint64(shift)
        u = (u * np.uint64(factor)) & MASK
    u ^= u >> np.uint64(16)
    return 2 * u.astype(np.float64) / 2**32 - 1


def vgg19_tensors():
    """Weights of VGG-19 as the reference stands in for them, ``conv1.weight`` and so on."""
    tensors = {}
    convs = [layer for layer in VGG19.layers if isinstance(layer, Conv)]
    for number, conv in enumerate(convs, start=1):
        shape = (conv.out, conv.into, 3, 3)
        kernel = hashed(int(np.prod(shape)), 2 * number).reshape(shape)
        kernel = kernel * np.sqrt(6 / (9 * conv.into))
        tensors[f"{conv.name}.weight"] = torch.from_numpy(kernel.astype(np.float32))
        bias = 0.5 * hashed(conv.out, 2 * number + 1)
        tensors[f"{conv.name}.bias"] = torch.from_numpy(bias.astype(np.float32))
    return tensors


def torchvision_tensors(net):
    """Random weights of torchvision's VGG-16 or AlexNet, with a classifier that nobody wants."""
    generator = torch.Generator().manual_seed(0)
    plan = {"vgg": VGG16, "alex": ALEXNET}[net]
    tensors = {"classifier.6.bias": torch.zeros(1000)}
    for name, shape in plan.shapes():
        fan = max(1, int(np.prod(shape[1:])))
        scale = (2 / fan) ** 0.5 if len(shape) > 1 else 0.1
        tensors[name] = scale * torch.randn(shape, generator=generator)
    return tensors


def linear_tensors(net):
    """Random linear layers of LPIPS, not negative, under the names of the published files."""
    generator = torch.Generator().manual_seed(1)
    plan = {"vgg": VGG16, "alex": ALEXNET}[net]
    taps = [one.out for one in plan.layers if isinstance(one, Conv) and one.tap]
    return {
        f"lin{place}.model.1.weight": torch.rand(1, channels, 1, 1, generator=generator)
        for place, channels in enumerate(taps)
    }


def save_matconvnet(path, tensors):
    """Write weights as MatConvNet's file holds them, and return its MD5."""
    layers = np.empty((1, 43), dtype=object)
    convs = {0: 1, 2: 2, 5: 3, 7: 4, 10: 5, 12: 6, 14: 7, 16: 8}
    convs |= {19: 9, 21: 10, 23: 11, 25: 12, 28: 13, 30: 14}
    for place in range(43):
        number = convs.get(place)
        if number is None:
            layers[0, place] = {"type": "relu", "name": f"layer{place}"}
            continue
        pair = np.empty((1, 2), dtype=object)
        pair[0, 0] = tensors[f"conv{number}.weight"].numpy().transpose(2, 3, 1, 0)
        pair[0, 1] = tensors[f"conv{number}.bias"].numpy()[None]
        layers[0, place] = {"type": "conv", "name": f"conv{number}", "weights": pair}
    savemat(path, {"layers": layers, "meta": {"note": "stand-in"}})
    return hashlib.md5(path.read_bytes()).hexdigest()
