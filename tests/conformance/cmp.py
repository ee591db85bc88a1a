"""Adapters: the networks of Cross-Modal Perceptionist."""

import numpy as np
import torch
import torch.nn.functional as F
from conformance.case import Arrays, Case

from voicemesh.checkpoints import upstream
from voicemesh.mesh import basel


def tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}


@torch.inference_mode()
def voice_encoder(case: Case) -> Arrays:
    net = upstream.build("cmp-voice-encoder", tensors(case.state()), case.name)
    produced = {}
    for name in case.inputs:
        embedding = net(torch.from_numpy(case.input(name)))
        produced[f"{name}_embedding"] = embedding[:, :, None, None].numpy()
        produced[f"{name}_unit"] = F.normalize(embedding).numpy()
    return produced


@torch.inference_mode()
def supervised_head(case: Case) -> Arrays:
    net = upstream.build("cmp-supervised-head", tensors(case.state()), case.name)
    (container,) = case.description["layouts"]
    face_model = upstream.build("cmp-face-model", tensors(case.state(container)), case.name)
    (name,) = case.inputs
    params = net(F.normalize(torch.from_numpy(case.input(name)).flatten(1)))
    mesh = basel.scaled_vertices(face_model, params).mT.numpy()
    return {"params": params.numpy(), "mesh": case.stored("mesh", mesh)}


ADAPTERS = {"cmp-voice-encoder": voice_encoder, "cmp-supervised-head": supervised_head}
