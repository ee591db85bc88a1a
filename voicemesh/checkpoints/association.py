"""Seeking the Shape of Sound and CMPC out of published state dicts; sizes are those of the file."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from voicemesh.audio import association as front
from voicemesh.images import MIDDLE
from voicemesh.nets.cmpc import ResNetEncoder, VoiceFacePair
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.sss import (
    EmbeddingHeads,
    IrFaceEncoder,
    ShapeOfSound,
    ThinResNet,
    ThinVoiceEncoder,
)

from .store import Tensors, fill

# Published sizes: a file that lacks a tensor is measured against them, so `fill` names what lacks.
UNITS, WIDTHS = (3, 4, 14, 3), (64, 128, 256, 512)
BLOCKS, THIN_WIDTHS = (3, 4, 6, 3), (16, 32, 64, 128)


def sss_model(tensors: Tensors, origin: str) -> nn.Module:
    """Voice and face networks with the weights of identities."""
    fixed = image_scaling() | under("V.model.", mel_filters())
    return built(ShapeOfSound, without_fixed(tensors, fixed, origin), origin)


def sss_voice(tensors: Tensors, origin: str) -> nn.Module:
    """V: the voice network with its head."""
    plain = without_fixed(tensors, under("model.", mel_filters()), origin)
    return built(ThinVoiceEncoder, plain, origin)


def sss_voice_backbone(tensors: Tensors, origin: str) -> nn.Module:
    """The voice network alone, as it was trained to know speakers."""
    return built(ThinResNet, without_fixed(tensors, mel_filters(), origin), origin)


def sss_face(tensors: Tensors, origin: str) -> nn.Module:
    """F: the face network with its head and the class matrix."""
    return built(IrFaceEncoder, tensors, origin)


def sss_heads(tensors: Tensors, origin: str) -> nn.Module:
    """The two heads and the class matrix."""
    return built(EmbeddingHeads, tensors, origin)


def ir_backbone(tensors: Tensors, origin: str) -> nn.Module:
    """IR-50 or IR-SE50, whichever the file holds."""
    return built(IrBackbone, tensors, origin)


def cmpc_encoder(tensors: Tensors, origin: str) -> nn.Module:
    """One encoder; its first convolution tells voices (1 channel) from faces (3)."""
    return built(ResNetEncoder, tensors, origin)


def cmpc_model(tensors: Tensors, origin: str) -> nn.Module:
    """Both encoders, of one size."""
    return built(VoiceFacePair, tensors, origin)


def built(kind: type[nn.Module], tensors: Tensors, origin: str) -> nn.Module:
    """A net of the sizes that its tensors have, filled strictly."""
    return fill(kind(**ARGUMENTS[kind](tensors)), tensors, origin)


def arguments_of(net: nn.Module) -> dict[str, Any]:
    """The constructor arguments of a net of these systems, read off its tensors.

    Raises:
        ValueError: a net of another system.
    """
    if type(net) not in ARGUMENTS:
        raise ValueError(f"The arguments of a {type(net).__name__} cannot be read off")
    return ARGUMENTS[type(net)](net.state_dict())


def thin_resnet(tensors: Tensors) -> dict[str, Any]:
    """Arguments of a `ThinResNet`."""
    blocks, widths = stages(tensors, BLOCKS, THIN_WIDTHS)
    inner = size(tensors, "layer1.0.se.fc.0.weight", 0, widths[0] // 8)
    features = size(tensors, "fc.weight", 0, 512)
    return {
        "blocks": blocks,
        "widths": widths,
        "features": features,
        "reduction": widths[0] // inner,
    }


def ir(tensors: Tensors) -> dict[str, Any]:
    """Arguments of an `IrBackbone`."""
    units, widths = unit_groups(tensors)
    flattened = size(tensors, "output_layer.3.weight", 1, widths[-1] * 49)
    squeezed = size(tensors, "body.0.res_layer.5.fc1.weight", 0, 0)
    return {
        "units": units,
        "widths": widths,
        # Every stage halves the picture.
        "side": math.isqrt(max(1, flattened // widths[-1])) << len(units),
        "features": size(tensors, "output_layer.3.weight", 0, 512),
        "reduction": widths[0] // squeezed if squeezed else None,
    }


def ir_face(tensors: Tensors) -> dict[str, Any]:
    """Arguments of an `IrFaceEncoder`."""
    backbone = ir(of("model.", tensors))
    return {
        **{name: backbone[name] for name in ("units", "widths", "side", "features")},
        "embedding": size(tensors, "fc.2.weight", 0, 128),
        "identities": size(tensors, "cls.weight", 0, 924),
    }


def thin_voice(tensors: Tensors) -> dict[str, Any]:
    """Arguments of a `ThinVoiceEncoder`."""
    return {
        **thin_resnet(of("model.", tensors)),
        "embedding": size(tensors, "fc.2.weight", 0, 128),
    }


def shape_of_sound(tensors: Tensors) -> dict[str, Any]:
    """Arguments of a `ShapeOfSound`."""
    voice, face = thin_voice(of("V.", tensors)), ir_face(of("F.", tensors))
    return {
        "voice_blocks": voice["blocks"],
        "voice_widths": voice["widths"],
        "face_units": face["units"],
        "face_widths": face["widths"],
        **{name: face[name] for name in ("side", "features", "embedding", "identities")},
    }


def heads(tensors: Tensors) -> dict[str, Any]:
    """Arguments of `EmbeddingHeads`."""
    return {
        "features": size(tensors, "F.fc.2.weight", 1, 512),
        "embedding": size(tensors, "F.fc.2.weight", 0, 128),
        "identities": size(tensors, "F.cls.weight", 0, 924),
    }


def resnet(tensors: Tensors) -> dict[str, Any]:
    """Arguments of a `ResNetEncoder`."""
    blocks, widths = stages(tensors, BLOCKS, WIDTHS)
    channels = size(tensors, "conv1.weight", 1, 3)
    return {"channels": channels, "blocks": blocks, "widths": widths}


def pair(tensors: Tensors) -> dict[str, Any]:
    """Arguments of a `VoiceFacePair`."""
    blocks, widths = stages(of("voice_subnet.", tensors), BLOCKS, WIDTHS)
    return {"blocks": blocks, "widths": widths}


# Constructor arguments of each net from its tensors.
ARGUMENTS: dict[type[nn.Module], Callable[[Tensors], dict[str, Any]]] = {
    ThinResNet: thin_resnet,
    ThinVoiceEncoder: thin_voice,
    IrBackbone: ir,
    IrFaceEncoder: ir_face,
    EmbeddingHeads: heads,
    ShapeOfSound: shape_of_sound,
    ResNetEncoder: resnet,
    VoiceFacePair: pair,
}


def of(prefix: str, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> Tensors:
    """The tensors under a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def under(prefix: str, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> Tensors:
    """The tensors with a prefix before their keys."""
    return {prefix + key: value for key, value in tensors.items()}


def size(tensors: Tensors, key: str, axis: int, published: int) -> int:
    """Length of one axis of a tensor; the published one if the tensor is not there."""
    tensor = tensors.get(key)
    return published if tensor is None or tensor.ndim <= axis else tensor.shape[axis]


def stages(
    tensors: Tensors, published_blocks: Sequence[int], published_widths: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Blocks and widths of `layer1`, `layer2`, ...; the published ones if there are none."""
    found: dict[int, dict[int, int]] = {}
    for key, value in tensors.items():
        match = re.fullmatch(r"layer(\d+)\.(\d+)\.conv1\.weight", key)
        if match and value.ndim == 4:
            found.setdefault(int(match[1]), {})[int(match[2])] = value.shape[0]
    if not found or sorted(found) != list(range(1, len(found) + 1)):
        return tuple(published_blocks), tuple(published_widths)
    ordered = [found[stage] for stage in sorted(found)]
    return tuple(max(b) + 1 for b in ordered), tuple(b[min(b)] for b in ordered)


def unit_groups(tensors: Tensors) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Units and widths of an IR body: a stage is a run of units of one width."""
    widths: dict[int, int] = {}
    for key, value in tensors.items():
        match = re.fullmatch(r"body\.(\d+)\.res_layer\.1\.weight", key)
        if match and value.ndim == 4:
            widths[int(match[1])] = value.shape[0]
    if not widths or sorted(widths) != list(range(len(widths))):
        return UNITS, WIDTHS
    runs: dict[int, int] = {}
    for number in sorted(widths):
        runs[widths[number]] = runs.get(widths[number], 0) + 1
    return tuple(runs.values()), tuple(runs)


def mel_filters() -> Tensors:
    """The fixed front end that lies in the published voice networks."""
    return {
        "torchfb.spectrogram.window": front.sss_window(),
        "torchfb.mel_scale.fb": front.sss_mel_filters(),
    }


def image_scaling() -> Tensors:
    """The fixed convolution that stands for (pixel - 127.5) / 127.5."""
    weight: Float[Tensor, "3 1 1 1"] = torch.full((3, 1, 1, 1), 1 / MIDDLE)
    return {"normalize.conv.weight": weight, "normalize.conv.bias": torch.full((3,), -1.0)}


def without_fixed(tensors: Tensors, fixed: Tensors, origin: str) -> Tensors:
    """The tensors without those that the front ends compute, where a file holds them.

    Raises:
        ValueError: the file's own are different: its network reads other features than ours.
    """
    for key in fixed.keys() & tensors.keys():
        ours, theirs = fixed[key], tensors[key]
        if ours.shape != theirs.shape or not torch.allclose(ours, theirs.float(), atol=1e-4):
            raise ValueError(
                f"{origin}: {key} is not the published one; a network of another front end"
                " cannot be used"
            )
    return {key: value for key, value in tensors.items() if key not in fixed}
