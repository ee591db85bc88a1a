"""Adapters: the unsupervised framework of Cross-Modal Perceptionist."""

import re

import torch
import torch.nn.functional as F
from conformance.case import Arrays, Case
from conformance.cmp import tensors
from conformance.hashed_weights import hashed_tensor

from voicemesh.checkpoints import upstream
from voicemesh.nets.cmp import VoiceEncoder
from voicemesh.nets.synergynet import crop_of
from voicemesh.systems.cmp_unsupervised import ImageBranch
from voicemesh.training import distillation as losses


def aliased(layout: list, tag: str, salt: str = "") -> Arrays:
    """A hashed state dict where features_first and features_second are features once more."""
    state = {}
    for key, shape, dtype in layout:
        own = key.replace("features_first.", "features.").replace("features_second.", "features.")
        state[key] = hashed_tensor(tag, salt + own, tuple(shape), dtype)
    return state


def published_file(case: Case, file: str) -> Arrays:
    """One of a case's layouts; its fill says what goes before each key."""
    salt = re.search(r"'([^']*)' \+ key", case.description["fill"][file])
    return aliased(case.description["layouts"][file], case.tag, salt[1] if salt else "")


def whole(case: Case, name: str) -> torch.Tensor:
    return torch.from_numpy(case.input(name))


@torch.inference_mode()
def generator(case: Case) -> Arrays:
    net = upstream.build("cmp-generator", tensors(case.state()), case.name)
    (name,) = case.inputs
    embedding = whole(case, name).flatten(1)
    image = net(F.normalize(embedding))
    made = {"image": image, "image_raw": net(embedding), "image_120": crop_of(image)}
    return {name: case.stored(name, value.numpy()) for name, value in made.items()}


@torch.inference_mode()
def regressor(case: Case) -> Arrays:
    state = aliased(case.description["layout"], case.tag)
    net = upstream.build("cmp-3dmm-regressor", tensors(state), case.name)
    (name,) = case.inputs
    told = net(whole(case, name))
    made = {"params": told.params, "pool": told.pooled, "inter": told.middle}
    return {name: case.stored(name, value.numpy()) for name, value in made.items()}


@torch.inference_mode()
def pipeline(case: Case) -> Arrays:
    """The published files whole, as their containers hold them."""
    files = {file: tensors(published_file(case, file)) for file in case.description["layouts"]}
    published = files["2D-to-3D-pretrained.tar"]
    face_model = upstream.build("cmp-face-model", published, case.name)
    teacher = upstream.build("cmp-teacher", published, case.name)
    student = upstream.build("cmp-student", files["image3D_48000.pth"], case.name)
    voice = upstream.build("cmp-voice-encoder", files["voice_embedding.pth"], case.name)
    images = ImageBranch(
        upstream.build("cmp-generator", files["generator_48000.pth"], case.name),
        student.whitened_as(teacher),
        face_model,
        teacher,
    )
    (name,) = case.inputs
    return followed(case, voice, images, whole(case, name))


def followed(case: Case, voice: VoiceEncoder, images: ImageBranch, log_mel: torch.Tensor) -> Arrays:
    """Every stored station of the chain."""
    embedding = F.normalize(voice(log_mel))
    faces = images.imagine(embedding)
    made = {
        "embedding": embedding,
        "pose": faces.pose_numbers,
        "R": faces.pose.rotation,
        "off": faces.pose.offset[:, :, None],
        "mesh": images.scaled_vertices(faces).mT,
        "aligned": images.vertices_in_image(faces).mT,
    }
    return {name: case.stored(name, value.numpy()) for name, value in made.items()}


@torch.inference_mode()
def face_critic(case: Case) -> Arrays:
    net = upstream.build("cmp-face-critic", tensors(case.state()), case.name)
    (name,) = case.inputs
    feature = net(whole(case, name))
    judges = {
        part: upstream.build("cmp-face-classifier", tensors(case.state(part, f"{part}:")), part)
        for part in case.description["layouts"]
    }
    score, logits = judges["discriminator"](feature), judges["classifier"](feature)
    (step,) = case.numbers("(#*i) mod N")
    labels = (int(step) * torch.arange(len(logits))) % logits.shape[1]
    told = [
        losses.judged(score, True),
        losses.judged(score, False),
        losses.recognised(logits, labels),
    ]
    return {
        "feature": feature[:, :, None, None].numpy(),
        "score": score.numpy(),
        "logits": logits.numpy(),
        "losses": torch.stack(told).numpy(),
    }


@torch.inference_mode()
def distill(case: Case) -> Arrays:
    given = {name: whole(case, name) for name in case.inputs}
    (size,) = case.numbers("multiplied by # first")
    (nearness,) = case.numbers("mesh_student + # * mesh_positive")
    (spread, *axes) = case.numbers("mesh_student + #*mesh_negative*[#,#,# along")
    (share,) = case.numbers("student + #*(negative - student)")
    mesh_weight, pkt_weight = case.numbers("#*mse + #*(pkt_pool + pkt_inter)")
    (margin,) = case.numbers("(margin #, p 2")
    teacher, student, positive, negative = (
        size * given[f"mesh_{name}"] for name in ("teacher", "student", "positive", "negative")
    )
    positive = student + nearness * positive
    near = student + spread * negative * torch.tensor(axes)[:, None]
    features = {
        part: (given[f"{part}_teacher"].flatten(1), given[f"{part}_student"].flatten(1))
        for part in ("pool", "inter")
    }
    told = losses.distillation(
        teacher,
        student,
        *zip(*features.values(), strict=True),
        mesh_weight,
        pkt_weight,
    )
    pair = features["pool"][::-1]
    produced = {
        "pkt_pool": told.pooled,
        "pkt_inter": told.middle,
        "pkt_pool_swapped": losses.pkt(*pair),
        "pkt_inter_swapped": losses.pkt(*features["inter"][::-1]),
        "mesh_mse": told.mesh,
        "distill_total": told.total,
        "triplet": losses.mesh_triplet(student, positive, near, margin),
        "triplet_hard": losses.mesh_triplet(
            student, negative, student + share * (negative - student), margin
        ),
        "attention": losses.attention(*pair),
        "similarity": losses.similarity(*pair),
        "correlation": losses.correlation(*pair),
        "nst": losses.neuron_selectivity(*pair),
        "rkd": losses.relational(*pair),
    }
    return {name: value.reshape(1).numpy() for name, value in produced.items()}


ADAPTERS = {
    "cmp-generator": generator,
    "cmp-3dmm-regressor": regressor,
    "cmp-pipeline": pipeline,
    "cmp-face-critic": face_critic,
    "cmp-distill": distill,
}
