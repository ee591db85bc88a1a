"""Published files: where each keeps its tensors, under which keys, and what is built of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from voicemesh.mesh import basel
from voicemesh.mesh.morphable import MorphableModel

from . import association, cmp, sf2f, stylegan2
from .store import Tensors
from .unpickle import MALFORMED, array_file, existing, plain_pickle, torch_file

FACE_MODEL_KEYS = ("param_mean", "param_std", "u", "w_exp", "w_shp")


@dataclass(frozen=True)
class Published:
    """One published network or face model, as its file holds it."""

    file: str  # the name it was published under
    build: Callable[[Tensors, str], nn.Module | MorphableModel]
    container: str = ""  # key of the state dict in the file; empty if the file is the state dict
    prefix: str = ""  # of the network's keys in the state dict; what is not under it is left
    others: tuple[str, ...] = ()  # keys that belong to other networks of the same file
    bare: bool = False  # the state dict is also found without its container
    pickled: bool = False  # a plain pickle of numpy arrays by key


def face_model(tensors: Tensors, origin: str) -> MorphableModel:
    """The 3DMM that the decoders share, without the triangles, which are a file of their own."""
    cmp.wanted(tensors, FACE_MODEL_KEYS, origin)
    unexpected = sorted(tensors.keys() - set(FACE_MODEL_KEYS))
    if unexpected:
        raise ValueError(f"{origin} has unexpected {', '.join(unexpected)}")
    return basel.face_model(tensors)


TABLE = {
    "cmp-voice-encoder": Published("voice_embedding.pth", cmp.voice_encoder),
    "cmp-supervised-head": Published("supervised_64/generator_48000.pth", cmp.supervised_head),
    "cmp-generator": Published("generator_48000.pth", cmp.generator),
    # The student's file is its state dict, the teacher's holds it with the face model.
    "cmp-3dmm-regressor": Published(
        "image3D_48000.pth", cmp.regressor, "state_dict", others=FACE_MODEL_KEYS, bare=True
    ),
    "cmp-student": Published("image3D_48000.pth", cmp.student),
    "cmp-teacher": Published(
        "2D-to-3D-pretrained.tar", cmp.teacher, "state_dict", others=("u", "w_exp", "w_shp")
    ),
    # Never published; a training run of the authors' code leaves bare state dicts.
    "cmp-face-critic": Published("face_embedding.pth", cmp.face_embedder),
    "cmp-face-classifier": Published("classifier.pth", cmp.classifier),
    "cmp-face-model": Published(
        "2D-to-3D-pretrained.tar", face_model, container="state_dict", others=("IGM.*",)
    ),
    # The authors' loader takes a file without an optimiser for the state dict itself.
    "sss-model": Published("best.pth.tar", association.sss_model, "state_dict", bare=True),
    "sss-voice-encoder": Published(
        "best.pth.tar", association.sss_voice, "state_dict", "V.", bare=True
    ),
    "sss-face-encoder": Published(
        "best.pth.tar", association.sss_face, "state_dict", "F.", bare=True
    ),
    "sss-embedding-heads": Published(
        "best.pth.tar",
        association.sss_heads,
        "state_dict",
        others=("?.model.*", "center.*", "normalize.*"),
        bare=True,
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
    "voicestyle-id-loss": Published("model_ir_se50.pth", association.ir_backbone),
    # Sizes are read off the tensors; the names are those of the cases.
    **dict.fromkeys(
        ("stylegan2-generator", "stylegan2-generator-256", "stylegan2-generator-64"),
        Published("550000.pt", stylegan2.generator, "g_ema"),
    ),
    **dict.fromkeys(
        ("stylegan2-discriminator", "stylegan2-discriminator-64"),
        Published("550000.pt", stylegan2.discriminator, "d"),
    ),
    "stylegan2-mapping": Published("550000.pt", stylegan2.mapping, "g_ema", "style."),
    # The weights of the distance and its backbone are published apart: `convert voicestyle`.
    "lpips-vgg": Published("vgg.pth", stylegan2.lpips, others=("classifier.*",)),
    # Which of the five options it is, tensors tell; the names are those of the cases.
    **dict.fromkeys(
        (
            *("sf2f-generator", "sf2f-v2f-64", "sf2f-1st-stage-64", "sf2f-1st-stage-128"),
            *("sf2f-fuser-64", "sf2f-fuser-128"),
        ),
        Published("best_L1_with_model.pt", sf2f.generator, "model_state", bare=True),
    ),
    **{
        f"sf2f-{name}-critic{number or ''}": Published(
            "best_L1_with_model.pt", build, f"d_{key}_state_{number}"
        )
        for name, key, build in (
            ("image", "img", sf2f.image_critic),
            ("identity", "ac", sf2f.identity_critic),
        )
        for number in (0, 1)
    },
    "sf2f-facenet": Published("20180402-114759-vggface2.pt", sf2f.facenet),
    "sf2f-vggface": Published("resnet50_ft_weight.pkl", sf2f.vggface, pickled=True),
    "voice2face-voice-encoder": Published("voice_embedding.pth", cmp.voice_encoder),
    "voice2face-generator": Published("generator.pth", cmp.generator),
}

SYSTEMS = {  # the parts of a bundle that one published file makes
    "sss": ("sss-voice-encoder", "sss-face-encoder"),
    "cmpc": ("cmpc-voice-encoder", "cmpc-face-encoder"),
    "stylegan2": ("stylegan2-generator",),
    "sf2f": ("sf2f-generator",),
}


def load(name: str, path: str | Path) -> nn.Module | MorphableModel:
    """A published network by its case name, from the authors' own file, on the CPU.

    Names are those of `TABLE`, like "sss-voice-encoder"; a wrong one lists all.

    Raises:
        ValueError: unknown name, unreadable or unsafe file, or tensors that do not fit.
    """
    published = entry(name)
    content = content_of(existing(path), published.pickled)
    if published.container and not (published.bare and holds_tensors(content)):
        if not isinstance(content, Mapping) or published.container not in content:
            raise ValueError(f"{path} has no {published.container!r}, where {name} is kept")
        content = content[published.container]
    if not holds_tensors(content):
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
    for table in (cmp.ARGUMENTS, stylegan2.ARGUMENTS):
        if type(net) in table:
            return table[type(net)](net)
    if type(net) in sf2f.ARGUMENTS:
        return sf2f.ARGUMENTS[type(net)](net.state_dict())
    return association.arguments_of(net)


def content_of(path: Path, pickled: bool) -> Any:
    """What lies in a file of any of the forms that weights come in; arrays as tensors."""
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return tensors_by_key(dict(arrays))
        except MALFORMED as error:
            raise ValueError(f"{path} cannot be read as arrays: {error}") from error
    if (pickled or path.suffix == ".pkl") and plain_pickle(path):
        return tensors_by_key(array_file(path))
    return torch_file(path)


def holds_tensors(content: Any) -> bool:
    """Is this a state dict?"""
    return isinstance(content, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )


def tensors_by_key(content: Any) -> Any:
    """Numpy arrays by key as tensors; whatever else it is, as it is."""
    if not isinstance(content, Mapping):
        return content
    return {
        key: torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
        for key, value in content.items()
    }


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
