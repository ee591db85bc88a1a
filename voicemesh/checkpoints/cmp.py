"""Cross-Modal Perceptionist out of published state dicts; sizes are those of the file."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from voicemesh.nets.cmp import (
    EmbeddingClassifier,
    FaceEmbedder,
    FaceGenerator,
    SupervisedHead,
    VoiceEncoder,
)
from voicemesh.nets.synergynet import POSE, MobileNetV2, SynergyNet

from .association import of
from .store import Tensors, fill

BACKBONES = ("", "backbone.", "IGM.backbone.")  # before the regressor's keys: alone, student, tar
SECOND_NAMES = ("features_first.", "features_second.")  # of blocks that are `features` as well
WHITENING = ("param_mean", "param_std")


def voice_encoder(tensors: Tensors, origin: str) -> nn.Module:
    """The encoder of any widths, which its convolutions tell."""
    wanted(tensors, ("model.0.weight",), origin)
    kernels = sorted(
        (int(key.split(".")[1]), value)
        for key, value in tensors.items()
        if value.ndim == 3 and fnmatchcase(key, "model.[0-9]*.weight")
    )
    *hidden, last = (kernel.shape[0] for _, kernel in kernels)
    channels = kernels[0][1].shape[1]
    return fill(VoiceEncoder(channels, hidden, last), tensors, origin)


def supervised_head(tensors: Tensors, origin: str) -> nn.Module:
    """The linear heads; their sizes are those of the file."""
    keys = ("classifier_exp.1.weight", "classifier_shape.1.weight")
    wanted(tensors, keys, origin)
    expressions, shapes = (tensors[key].shape for key in keys)
    return fill(SupervisedHead(shapes[1], shapes[0], expressions[0]), tensors, origin)


def generator(tensors: Tensors, origin: str) -> nn.Module:
    """The generator of any widths, which its convolutions tell."""
    kernels = convolutions(tensors, origin)
    *widths, channels = (kernel.shape[1] for kernel in kernels)
    return fill(FaceGenerator(kernels[0].shape[0], widths, channels), tensors, origin)


def face_embedder(tensors: Tensors, origin: str) -> nn.Module:
    """The critics' encoder of any widths, which its convolutions tell."""
    kernels = convolutions(tensors, origin)
    *widths, embedding = (kernel.shape[0] for kernel in kernels)
    return fill(FaceEmbedder(kernels[0].shape[1], widths, embedding), tensors, origin)


def classifier(tensors: Tensors, origin: str) -> nn.Module:
    """A critic, or a classifier of as many identities as the file has."""
    wanted(tensors, ("model.weight",), origin)
    classes, embedding = tensors["model.weight"].shape
    return fill(EmbeddingClassifier(embedding, classes), tensors, origin)


def regressor(tensors: Tensors, origin: str) -> nn.Module:
    """The image regressor, alone, as the student's file holds it, or as the teacher's does.

    Raises:
        ValueError: it does not fit, or a tensor differs from the one that it is a second name of.
    """
    own = backbone(tensors, origin)
    return fill(MobileNetV2(*head_sizes(own)), own, origin)


def student(tensors: Tensors, origin: str) -> nn.Module:
    """The image student; it wants the whitening of its teacher, which its file lacks."""
    return synergynet(backbone(tensors, origin), origin)


def teacher(tensors: Tensors, origin: str) -> nn.Module:
    """The image teacher with the whitening of its pose."""
    wanted(tensors, WHITENING, origin)
    own = {key: value for key, value in tensors.items() if key not in WHITENING}
    net = synergynet(backbone(own, origin), origin)
    mean, deviation = (tensors[key].flatten()[:POSE].float() for key in WHITENING)
    net.pose_mean, net.pose_deviation = mean, deviation
    return net


def synergynet(own: Tensors, origin: str) -> SynergyNet:
    """The regressor of these tensors, its pose not whitened."""
    net = SynergyNet(*head_sizes(own))
    fill(net.backbone, own, origin)
    return net.eval()


def backbone(tensors: Tensors, origin: str) -> Tensors:
    """The regressor's tensors under their first names, each once."""
    prefix = next((p for p in BACKBONES if f"{p}features.0.0.weight" in tensors), "")
    if prefix:
        stray = sorted(key for key in tensors if not key.startswith(prefix))
        if stray:
            raise ValueError(f"{origin} has unexpected {', '.join(stray)}")
    own = of(prefix, tensors)
    first = {key: value for key, value in own.items() if not key.startswith(SECOND_NAMES)}
    for key in own.keys() - first.keys():
        name = "features." + key.split(".", 1)[1]
        if name not in first or not torch.equal(own[key], first[name]):
            raise ValueError(f"{origin}: {key} should be {name} once more; the file is damaged")
    return first


def head_sizes(tensors: Tensors) -> tuple[int, int, int]:
    """Shape, expression and texture parameters; the published ones where the file has no head."""
    published = {"shape": 40, "exp": 10, "texture": 40}
    shape, expression, texture = (
        len(tensors.get(f"classifier_{name}.1.bias", range(count)))
        for name, count in published.items()
    )
    return shape, expression, texture


def voice_arguments(net: VoiceEncoder) -> dict[str, Any]:
    """Mels in, channels of the layers, values out."""
    layers = [layer for layer in net.model if isinstance(layer, nn.Conv1d)]
    *widths, embedding = (layer.out_channels for layer in layers)
    return {"input_channels": layers[0].in_channels, "widths": widths, "embedding": embedding}


def head_arguments(net: SupervisedHead) -> dict[str, Any]:
    """Values in, numbers of parameters out."""
    shape, expression = net.classifier_shape[1], net.classifier_exp[1]
    return {
        "embedding": shape.in_features,
        "shape_params": shape.out_features,
        "expression_params": expression.out_features,
    }


def generator_arguments(net: FaceGenerator) -> dict[str, Any]:
    """Values in, channels of the layers and of the image."""
    layers = [layer for layer in net.model if isinstance(layer, nn.ConvTranspose2d)]
    *widths, channels = (layer.out_channels for layer in layers)
    return {"embedding": layers[0].in_channels, "widths": widths, "channels": channels}


def embedder_arguments(net: FaceEmbedder) -> dict[str, Any]:
    """Channels of the image and of the layers, values out."""
    layers = [layer for layer in net.model if isinstance(layer, nn.Conv2d)]
    *widths, embedding = (layer.out_channels for layer in layers)
    return {"channels": layers[0].in_channels, "widths": widths, "embedding": embedding}


def classifier_arguments(net: EmbeddingClassifier) -> dict[str, Any]:
    """Values in, classes out."""
    return {"embedding": net.model.in_features, "classes": net.model.out_features}


def regressor_arguments(net: MobileNetV2) -> dict[str, Any]:
    """Numbers of parameters out, and the width."""
    return {
        "shape_params": net.classifier_shape[1].out_features,
        "expression_params": net.classifier_exp[1].out_features,
        "texture_params": net.classifier_texture[1].out_features,
        "width": net.width,
    }


def synergynet_arguments(net: SynergyNet) -> dict[str, Any]:
    """Those of its backbone, and the side that crops are averaged to."""
    return {**regressor_arguments(net.backbone), "side": net.side}


# Constructor arguments of each net, read off it.
ARGUMENTS: dict[type[nn.Module], Callable[[Any], dict[str, Any]]] = {
    VoiceEncoder: voice_arguments,
    SupervisedHead: head_arguments,
    FaceGenerator: generator_arguments,
    FaceEmbedder: embedder_arguments,
    EmbeddingClassifier: classifier_arguments,
    MobileNetV2: regressor_arguments,
    SynergyNet: synergynet_arguments,
}


def convolutions(tensors: Tensors, origin: str) -> list[Shaped[Tensor, "_ _ _ _"]]:
    """Kernels of a `model` that is a sequence of 2D convolutions, in order.

    Raises:
        ValueError: there are fewer than two.
    """
    kernels = {
        int(key.split(".")[1]): value
        for key, value in tensors.items()
        if value.ndim == 4 and fnmatchcase(key, "model.[0-9]*.weight")
    }
    if len(kernels) < 2 or 0 not in kernels:
        raise ValueError(
            f"{origin} lacks model.0.weight and more 2D convolutions; it has {some(tensors)}"
        )
    return [kernels[number] for number in sorted(kernels)]


def wanted(tensors: Tensors, keys: tuple[str, ...], origin: str) -> None:
    """Refuse a state dict that lacks any of these keys."""
    missing = [key for key in keys if key not in tensors]
    if missing:
        raise ValueError(f"{origin} lacks {', '.join(missing)}; it has {some(tensors)}")


def some(tensors: Tensors) -> str:
    """The first few keys, for a message."""
    keys = sorted(tensors)
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
