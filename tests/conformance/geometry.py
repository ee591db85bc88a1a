"""Adapters: published measures of a mesh, on meshes built by formula."""

import re

import numpy as np
import torch
from conformance.case import Arrays, Case

from voicemesh.mesh import face_types, metrics


def meshes(case: Case) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Predictions, with the target and the identity of each, in the case's order."""
    stretch = np.array(case.numbers(".astype(float64) * [#,#,#]"))
    factor, noise = case.numbers("pred_Xj = #*target_X + #*hashed_input")
    predictions, targets, identities = [], [], []
    for number, (identity, count) in enumerate(case.description["identities"].items()):
        target = case.input(f"target_{identity}").astype(np.float64) * stretch
        for j in range(count):
            disturbance = case.input(f"pred_{identity}{j}").astype(np.float64)
            predictions.append(factor * target + noise * disturbance)
            targets.append(target)
            identities.append(number)
    return torch.from_numpy(np.stack(predictions)), torch.from_numpy(np.stack(targets)), identities


def pairs(case: Case) -> dict[str, tuple[int, int]]:
    return {name: tuple(pair) for name, pair in case.description["index_pairs"].items()}


def ratio_errors(case: Case) -> Arrays:
    predictions, targets, identities = meshes(case)
    errors = metrics.ratio_error(
        metrics.pair_lengths(predictions, pairs(case)), metrics.pair_lengths(targets, pairs(case))
    )
    each = metrics.identity_means(errors, torch.tensor(identities))
    return {"per_identity": each.numpy(), "summary": each.mean(0).numpy()}


def keypoint_errors(case: Case) -> Arrays:
    predictions, targets, identities = meshes(case)
    count, step, start, modulus = (
        int(number) for number in case.numbers("(arange(#)*# + #) mod #")
    )
    landmarks = torch.from_numpy((np.arange(count) * step + start) % modulus)
    errors = metrics.keypoint_error(predictions, targets, landmarks)
    each = metrics.identity_means(errors[:, None], torch.tensor(identities))[:, 0]
    return {"per_identity": each.numpy(), "summary": each.mean(0, keepdim=True).numpy()}


def face_type(case: Case) -> Arrays:
    names = (*face_types.SEXES, *face_types.FACE_TYPES)
    base = case.input("base").astype(np.float64)
    base = base * np.array(case.numbers("hashed_input(base)*[#,#,#]"))
    growth, noise = case.numbers("base*(1+#*i) + #*hashed_input(name)")
    references = face_types.References(
        {
            name: torch.from_numpy(base * (1 + growth * i) + noise * case.input(name))
            for i, name in enumerate(names)
        }
    )
    predicted = [name for name in case.inputs if name.startswith("prediction")]
    (noise,) = case.numbers("[j] + #*hashed_input('prediction'+j)")
    listed = re.search(r"base\*\[([\d., ]+)\]\[j\]", case.description["construction"])[1]
    factors = [float(number) for number in listed.split(",")][: len(predicted)]
    produced = {}
    for factor, name in zip(factors, predicted, strict=True):
        vertices = (base * factor + noise * case.input(name)).astype(np.float32)
        verdict = face_types.judge(torch.from_numpy(vertices).double(), references)
        number = name.removeprefix("prediction")
        produced[f"errors{number}"] = np.array([verdict.distances[n] for n in names])
        produced[f"ratios{number}"] = np.array(list(verdict.differences.values()))
        produced[f"type{number}"] = np.array([face_types.FACE_TYPES.index(verdict.face_type)])
    return produced


ADAPTERS = {"cmp-are": ratio_errors, "cmp-keypoints": keypoint_errors, "cmp-face-type": face_type}
