"""Published files: where each keeps its tensors, under which keys, and what is built of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer, Shaped
from torch import Tensor, nn

from voicemesh.mesh import basel
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder

from . import association
from .store import Tensors, fill
from .unpickle import array_file, existing, torch_file

FACE_MODEL_KEYS = ("param_mean", "param_std", "u", "w_exp", "w_shp")


@dataclass(frozen=True)
class Published:
    """One published network or face model, as its file holds it."""

    file: str  # the name it was published under
    build: Callable[[Tensors, str], nn.Module | MorphableModel]
    container: str = ""  # key of the state dict in the file; empty if the file is the state dict
    prefix: str = ""  # of the network's keys in the state dict; what is not under it is left
    others: tuple[str, ...] = ()  # keys that belong to other networks of the same file


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


def face_model(tensors: Tensors, origin: str) -> MorphableModel:
    """The 3DMM that the decoders share, without the triangles, which are a file of their own."""
    wanted(tensors, FACE_MODEL_KEYS, origin)
    unexpected = sorted(tensors.keys() - set(FACE_MODEL_KEYS))
    if unexpected:
        raise ValueError(f"{origin} has unexpected {', '.join(unexpected)}")
    return basel.face_model(tensors)


TABLE = {
    "cmp-voice-encoder": Published("voice_embedding.pth", voice_encoder),
    "cmp-supervised-head": Published("supervised_64/generator_48000.pth", supervised_head),
    "cmp-face-model": Published(
        "2D-to-3D-pretrained.tar", face_model, container="state_dict", others=("IGM.*",)
    ),
    "sss-model": Published("best.pth.tar", association.sss_model, "state_dict"),
    "sss-voice-encoder": Published("best.pth.tar", association.sss_voice, "state_dict", "V."),
    "sss-face-encoder": Published("best.pth.tar", association.sss_face, "state_dict", "F."),
    "sss-embedding-heads": Published(
        "best.pth.tar",
        association.sss_heads,
        "state_dict",
        others=("?.model.*", "center.*", "normalize.*"),
    ),
    "sss-voice-backbone": Published("baseline_lite_ap.model", association.sss_voice_backbone),
    "sss-face-backbone": Published("backbone_ir50_ms1m_epoch120.pth", association.ir_backbone),
    "cmpc-model": Published("checkpoint_CMPC.pth.tar", association.cmpc_model, "model"),
    "cmpc-voice-encoder": Published(
        "checkpoint_CMPC.pth.tar", association.cmpc_encoder, "model", "voice_subnet."
    ),
    "cmpc-face-encoder": Published(
        "checkpoint_CMPC.pth.tar", association.cmpc_encoder, "model", "face_subnet."
    ),
    "ir-se50": Published("model_ir_se50.pth", association.ir_backbone),
}

SYSTEMS = {  # the parts of a bundle that one published file makes
    "sss": ("sss-voice-encoder", "sss-face-encoder"),
    "cmpc": ("cmpc-voice-encoder", "cmpc-face-encoder"),
}


def load(name: str, path: str | Path) -> nn.Module | MorphableModel:
    """A published network by its case name, from the authors' own file, on the CPU.

    Raises:
        ValueError: unknown name, unreadable or unsafe file, or tensors that do not fit.
    """
    published = entry(name)
    content = torch_file(path)
    if published.container:
        if not isinstance(content, Mapping) or published.container not in content:
            raise ValueError(f"{path} has no {published.container!r}, where {name} is kept")
        content = content[published.container]
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise ValueError(f"{path} does not hold the tensors of {name} by key")
    if published.prefix:
        content = association.of(published.prefix, without_module(content))
        if not content:
            raise ValueError(f"{path} has no keys under {published.prefix!r}, where {name} is kept")
    return build(name, content, str(path))


def build(
    name: str, tensors: Mapping[str, Shaped[Tensor, "..."]], origin: str
) -> nn.Module | MorphableModel:
    """The network of a state dict as published; a leading `module.` of all keys falls away."""
    published = entry(name)
    own = {
        key: value
        for key, value in without_module(tensors).items()
        if not any(fnmatchcase(key, pattern) for pattern in published.others)
    }
    return published.build(own, origin)


def arguments_of(net: nn.Module) -> dict[str, Any]:
    """The constructor arguments of a net that came out of the table."""
    if isinstance(net, VoiceEncoder):
        layers = [layer for layer in net.model if isinstance(layer, nn.Conv1d)]
        *widths, embedding = (layer.out_channels for layer in layers)
        return {
            "input_channels": layers[0].in_channels,
            "widths": widths,
            "embedding": embedding,
        }
    if isinstance(net, SupervisedHead):
        shape, expression = net.classifier_shape[1], net.classifier_exp[1]
        return {
            "embedding": shape.in_features,
            "shape_params": shape.out_features,
            "expression_params": expression.out_features,
        }
    return association.arguments_of(net)


def without_module(tensors: Mapping[str, Shaped[Tensor, "..."]]) -> Tensors:
    """The tensors without the `module.` that parallel training puts before every key."""
    if tensors and all(key.startswith("module.") for key in tensors):
        return association.of("module.", tensors)
    return dict(tensors)


def entry(name: str) -> Published:
    """The row of the table."""
    if name not in TABLE:
        raise ValueError(f"No published network {name!r}; known are {', '.join(sorted(TABLE))}")
    return TABLE[name]


def wanted(tensors: Tensors, keys: tuple[str, ...], origin: str) -> None:
    """Refuse a state dict that lacks any of these keys."""
    missing = [key for key in keys if key not in tensors]
    if missing:
        raise ValueError(f"{origin} lacks {', '.join(missing)}; it has {some(tensors)}")


def some(tensors: Tensors) -> str:
    """The first few keys, for a message."""
    keys = sorted(tensors)
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")


def load_basel(
    path: str | Path,
    triangles: str | Path | None = None,
    landmarks: str | Path | None = None,
) -> MorphableModel:
    """A Basel-style face model whole: CMP's published file, or 3DDFA's bfm_noneck_v3.pkl.

    Args:
        path: 2D-to-3D-pretrained.tar, or a .pkl of arrays.
        triangles: tri.mat or tri.pkl; a .pkl model brings its own, yet tri.pkl replaces them.
        landmarks: keypoints_sim.npy; the published ones if none.
    """
    path = Path(path)
    corners = None if triangles is None else read_triangles(triangles)
    points = None if landmarks is None else read_landmarks(landmarks)
    if path.suffix != ".pkl":
        plain = load("cmp-face-model", path)
        assert isinstance(plain, MorphableModel)
        return basel.with_surface(plain, corners, points)
    arrays = array_file(path)
    keys = ("u", "w_shp", "w_exp", "tri", "keypoints")
    missing = [key for key in keys if not isinstance(arrays, dict) or key not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)} of a 3DDFA face model")
    tensors = {key: torch.from_numpy(np.asarray(arrays[key], np.float32)) for key in keys[:3]}
    points = arrays["keypoints"] if points is None else points
    return basel.face_model(tensors, arrays["tri"] if corners is None else corners, points)


def read_triangles(path: str | Path) -> Integer[np.ndarray, "_ _"]:
    """0-based triangles of tri.mat (which counts from 1) or tri.pkl (from 0)."""
    path = existing(path)
    if path.suffix != ".mat":
        return np.asarray(array_file(path))
    from scipy.io import loadmat

    return loadmat(path)["tri"].astype(np.int64) - 1


def read_landmarks(path: str | Path) -> Integer[np.ndarray, " _"]:
    """The numbers of keypoints_sim.npy."""
    return np.load(existing(path), allow_pickle=False).ravel()
