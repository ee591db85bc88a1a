"""Safetensors files that describe themselves: the net's name and its arguments in the header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of
from torch import Tensor, nn

from voicemesh.nets.cmp import (
    EmbeddingClassifier,
    FaceEmbedder,
    FaceGenerator,
    SupervisedHead,
    VoiceEncoder,
    VoiceTraits,
)
from voicemesh.nets.cmpc import (
    FeatureVoiceEncoder,
    GridFaceEncoder,
    ResNetEncoder,
    VoiceFacePair,
)
from voicemesh.nets.irse import IrBackbone
from voicemesh.nets.lpips import Lpips
from voicemesh.nets.sf2f import SpeechFusionToFace
from voicemesh.nets.sf2f_critics import IdentityCritic, PatchCritic
from voicemesh.nets.sf2f_facenet import FaceNet
from voicemesh.nets.sf2f_vggface import VggFace
from voicemesh.nets.sss import (
    EmbeddingHeads,
    IrFaceEncoder,
    ShapeOfSound,
    ThinResNet,
    ThinVoiceEncoder,
)
from voicemesh.nets.sss_small import PortraitFaceEncoder, TrunkVoiceEncoder
from voicemesh.nets.stylegan2 import Discriminator, Generator
from voicemesh.nets.synergynet import MobileNetV2, SynergyNet
from voicemesh.nets.voicestyle import VoiceStart

from .eight_bits import Tensors, widened
from .unfilled import Bounded, Unfilled

NETS = {
    net.__name__: net
    for net in (
        *(VoiceEncoder, SupervisedHead, VoiceTraits),
        *(FaceGenerator, FaceEmbedder, EmbeddingClassifier, MobileNetV2, SynergyNet),
        *(ThinVoiceEncoder, IrFaceEncoder, ShapeOfSound, EmbeddingHeads),
        *(ThinResNet, IrBackbone, TrunkVoiceEncoder, PortraitFaceEncoder),
        *(ResNetEncoder, VoiceFacePair, FeatureVoiceEncoder, GridFaceEncoder),
        *(Generator, Discriminator, Lpips, VoiceStart),
        *(SpeechFusionToFace, PatchCritic, IdentityCritic, FaceNet, VggFace),
    )
}
# All that nets raise on arguments that they cannot be made of.
UNBUILT = (
    *(TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError),
    MemoryError,
)
COUNTER = ".num_batches_tracked"  # of a norm; inference does not read it


def save(path: str | Path, tensors: Mapping[str, Shaped[Tensor, "..."]], header: dict) -> None:
    """Write tensors and a header of plain data, values as JSON."""
    Path(path).write_bytes(packed(tensors, header))


def packed(tensors: Mapping[str, Shaped[Tensor, "..."]], header: Mapping[str, Any]) -> bytes:
    """The bytes of such a file."""
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    words = {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in header.items()
    }
    return ordered(bytes_of(whole, words))


def ordered(content: bytes) -> bytes:
    """The same file with its words in alphabetical order, which safetensors leaves to chance."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    words = {"__metadata__": dict(sorted(header.pop("__metadata__", {}).items()))}
    written = json.dumps(words | header, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written + content[8 + size :]


def load(path: str | Path) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the header of a file.

    Raises:
        ValueError: no such file, or no safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no file {path}")
    return unpacked(path.read_bytes(), str(path))


def unpacked(content: bytes, origin: str) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the header in the bytes of a file, which errors call `origin`."""
    try:
        tensors = tensors_of(content)
    except SafetensorError as error:
        raise ValueError(f"{origin} is no safetensors file: {error}") from error
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    if "arguments" in header:
        header["arguments"] = arguments_in(header["arguments"], origin)
    return tensors, header


def arguments_in(text: str, origin: str) -> dict[str, Any]:
    """Arguments by name, out of the JSON of a header.

    Raises:
        ValueError: it is none.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{origin}: the arguments in its header are no JSON: {error}") from error
    if not isinstance(told, dict):
        raise ValueError(f"{origin}: the arguments in its header are no JSON object: {text[:40]}")
    return told


def save_net(path: str | Path, net: nn.Module, arguments: Mapping[str, Any], **more: Any) -> None:
    """Write a net's state with its name and the arguments that build it."""
    header = {"net": type(net).__name__, "arguments": dict(arguments), **more}
    save(path, net.state_dict(), header)


def load_net(path: str | Path) -> nn.Module:
    """The net of a file that `save_net` wrote, ready to infer."""
    tensors, header = load(path)
    return net_of(header.get("net", "no net"), header.get("arguments", {}), tensors, str(path))


def net_of(
    name: str,
    arguments: Mapping[str, Any],
    tensors: Mapping[str, Shaped[Tensor, "..."]],
    origin: str,
) -> nn.Module:
    """Build a net by name and fill it strictly.

    Raises:
        ValueError: unknown net or arguments, or tensors that are not its own.
    """
    if not isinstance(name, str) or name not in NETS:
        raise ValueError(f"{origin}: no net {name!r}; known are {', '.join(sorted(NETS))}")
    tensors = widened(tensors)
    held = sum(value.numel() for value in tensors.values())
    try:
        with torch.device("meta"), Bounded(held), Unfilled():  # where nothing is allocated
            fitting = NETS[name](**arguments)
    except UNBUILT as error:
        raise ValueError(
            f"{origin}: {name} cannot be built from {dict(arguments)}: {error}"
        ) from error
    agree(fitting, tensors, origin)
    with Unfilled():
        net = NETS[name](**arguments)
    return fill(net, tensors, origin)


def fill(net: nn.Module, tensors: Mapping[str, Shaped[Tensor, "..."]], origin: str) -> nn.Module:
    """Load a net strictly and set it to inference; narrower floats are widened.

    Old files counted no batches in their norms: counters that lack are zero.

    Raises:
        ValueError: any key is missing, unexpected or misshapen; the message names them all.
    """
    counters = {k: torch.zeros_like(v) for k, v in net.state_dict().items() if k.endswith(COUNTER)}
    tensors = counters | dict(tensors)
    agree(net, tensors, origin)
    with torch.no_grad():
        net.load_state_dict(tensors)
    return net.eval()


def agree(net: nn.Module, tensors: Mapping[str, Shaped[Tensor, "..."]], origin: str) -> None:
    """Refuse tensors that are not those of a net.

    Raises:
        ValueError: any key is missing, unexpected or misshapen; the message names them all.
    """
    own = net.state_dict()
    faults = {key: "missing" for key in own.keys() - tensors.keys()}
    faults |= {key: "unexpected" for key in tensors.keys() - own.keys()}
    for key in own.keys() & tensors.keys():
        if own[key].shape != tensors[key].shape:
            shapes = tuple(tensors[key].shape), tuple(own[key].shape)
            faults[key] = "shape {} instead of {}".format(*shapes)
    if faults:
        listed = "; ".join(f"{key}: {faults[key]}" for key in sorted(faults))
        raise ValueError(f"{origin} does not fit {type(net).__name__}: {listed}")
