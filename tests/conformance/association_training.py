"""Adapters: losses, identity weights, clustering and metrics of the association systems."""

import re
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from conformance.case import Arrays, Case

from voicemesh.evaluation import matching, retrieval, verification
from voicemesh.nets.sss import IdentityState
from voicemesh.training import cmpc_losses as cmpc
from voicemesh.training import prototypes
from voicemesh.training import sss_losses as sss


def tensor(case: Case, name: str) -> torch.Tensor:
    """An input as a tensor, with the scale and the offset that the case gives it."""
    entry = case.description["inputs"][name]
    value = case.input(name) * np.float32(entry.get("scale", 1))
    return torch.from_numpy(np.asarray(value + np.float32(entry.get("offset", 0)), np.float32))


def whole(numbers: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(int(number) for number in numbers)


def sss_losses(case: Case) -> Arrays:
    classes = torch.from_numpy(case.state()["F.cls.weight"])
    identities = len(classes)
    factor, offset, modulus = whole(case.numbers("y_i = (# i + #) mod #"))
    targets = (torch.arange(len(case.input("z_face"))) * factor + offset) % modulus
    factor, modulus, hundred = case.numbers("((# c) mod #) / #")
    weights = {
        "plain": torch.ones(identities),
        "weighted": (torch.arange(identities) * factor) % modulus / hundred,
    }
    produced = {}
    for name, weight in weights.items():
        state = IdentityState(identities)
        state.loss_mean.fill_(case.numbers("loss_mean starts at #")[0])
        inputs = [tensor(case, "z_face"), tensor(case, "z_voice"), classes]
        face, voice, matrix = (value.clone().requires_grad_() for value in inputs)
        own = sss.batch_weights(weight, targets)
        terms = sss.losses(voice, face, matrix, targets, own)
        total = terms.total(tuple(float(w) for w in case.description["arguments"]["loss_weight"]))
        gradients = torch.autograd.grad(total, (face, voice, matrix))
        sss.remember(state, targets, terms.face_each + terms.voice_each)
        values = {
            "losses": torch.stack([terms.face, terms.voice, terms.cross, total]),
            "cross": terms.cross_each,
            "batch_weights": own,
            "loss_mean": state.loss_mean[targets],
            "grad_face": gradients[0],
            "grad_voice": gradients[1],
            "grad_norms": torch.stack([gradient.norm() for gradient in gradients]),
        }
        produced |= {f"{name}_{key}": value for key, value in values.items()}
    produced |= {
        "cross_face_to_voice": sss.cross_modal(face, voice),
        "cross_voice_to_face": sss.cross_modal(voice, face),
        "face_ce_each": terms.face_each,
        "voice_ce_each": terms.voice_each,
    }
    return {name: value.detach().numpy() for name, value in produced.items()}


def sss_identity_weights(case: Case) -> Arrays:
    state = IdentityState(case.description["arguments"]["num_classes"])
    state.loss_mean.copy_(tensor(case, "loss_mean"))
    identities = torch.arange(len(state.weight))
    rounds = sum(re.fullmatch(r"loss_\d+", name) is not None for name in case.inputs)
    shares, history = [], []
    for number in range(rounds):
        sss.remember(state, identities, tensor(case, f"loss_{number}"))
        shares.append(sss.reweigh(state))
        history.append(state.weight.clone())
    moments = whole(case.numbers("after rounds #, #, #, #;"))
    names = ("weight_first", "weight_second", "weight_tenth", "weight_last")
    produced = {name: history[moment - 1] for name, moment in zip(names, moments, strict=True)}
    factor, offset = whole(case.numbers("y_i = (# i + #) mod K"))
    count = case.arrays["batch_weights"].shape[0]
    targets = (torch.arange(count) * factor + offset) % len(identities)
    lonely = (identities == len(identities) - 1).float()
    first, last = whole(case.numbers("asked for identities #..#:"))
    produced |= {
        "ratio": torch.tensor(shares),
        "ones": torch.stack([(weight == 1).sum() for weight in history]),
        "weight_sums": torch.stack([weight.sum() for weight in history]),
        "batch_weights": sss.batch_weights(state.weight, targets),
        "fallback_weights": sss.batch_weights(lonely, torch.arange(first, last + 1)),
    }
    return {name: value.numpy() for name, value in produced.items()}


def cmpc_clusters(case: Case, side: str, videos: int, label: Callable) -> list[cmpc.Clusters]:
    """The clusters that the case gives to one side, level by level."""
    found = (re.fullmatch(rf"{side}_centroids_(\d+)", name) for name in case.inputs)
    counts = sorted(int(name[1]) for name in found if name)
    return [
        cmpc.Clusters(
            tensor(case, f"{side}_centroids_{count}"),
            tensor(case, f"{side}_density_{count}"),
            label(torch.arange(videos), level) % count,
        )
        for level, count in enumerate(counts)
    ]


def cmpc_losses(case: Case) -> Arrays:
    arguments = case.description["arguments"]
    temperature = arguments["temperature"]
    videos = len(case.input("memory_audio"))
    factor, offset = whole(case.numbers("batch row i is video (# i + #) mod "))
    video, level = whole(case.numbers("(# m + # k) mod K for voices"))
    face_video, face_level, shift = whole(case.numbers("(# m + # k + #) mod K for faces"))

    def voice_cluster(m: torch.Tensor, k: int) -> torch.Tensor:
        return video * m + level * k

    def face_cluster(m: torch.Tensor, k: int) -> torch.Tensor:
        return face_video * m + face_level * k + shift

    clusters = (
        cmpc_clusters(case, "audio", videos, voice_cluster),
        cmpc_clusters(case, "frame", videos, face_cluster),
    )
    audio, frame = (tensor(case, f"{name}_emb").requires_grad_() for name in ("audio", "frame"))
    rows = (torch.arange(len(audio)) * factor + offset) % videos
    recalibration = cmpc.Recalibration(float(arguments["delta"]), float(arguments["ka"]))
    alone = cmpc.losses(audio, frame, rows, temperature=temperature)
    terms = cmpc.losses(
        audio, frame, rows, *clusters, temperature=temperature, recalibration=recalibration
    )
    gradients = [torch.autograd.grad(loss.total, (audio, frame)) for loss in (alone, terms)]
    produced = {
        "instance_voice_to_face": cmpc.instance_contrast(audio, frame, temperature),
        "instance_face_to_voice": cmpc.instance_contrast(frame, audio, temperature),
        "prototype_voice_to_face": cmpc.prototype_contrast(audio, clusters[1], rows),
        "prototype_face_to_voice": cmpc.prototype_contrast(frame, clusters[0], rows),
        "prototype_none": cmpc.prototype_contrast(audio, [], rows),
        "grad_audio_instance": gradients[0][0],
        "grad_audio_with_prototypes": gradients[1][0],
        "total": torch.stack([alone.total, terms.total]),
        "grad_norms": torch.stack([value.norm() for pair in gradients for value in pair]),
        "recalibration_weights": terms.weights,
    }
    first, second = case.numbers("momentum [#, #], where the FIRST acts on the face bank")
    momentum = arguments["memory_momentum"]
    for suffix, momenta in (("", (momentum, momentum)), ("_two_momenta", (second, first))):
        memory = cmpc.Memory(tensor(case, "memory_audio"), tensor(case, "memory_frame"), *momenta)
        memory.update(rows, audio.detach(), frame.detach())
        produced |= {f"memory_audio{suffix}": memory.voices, f"memory_frame{suffix}": memory.faces}
    return {name: value.detach().numpy() for name, value in produced.items()}


def cmpc_clustering(case: Case) -> Arrays:
    arguments = case.description["arguments"]
    centres, spread = tensor(case, "centres"), tensor(case, "spread")
    (factor,) = whole(case.numbers("centres[(# i) mod "))
    points = F.normalize(centres[torch.arange(len(spread)) * factor % len(centres)] + spread)
    produced = {}
    for count in arguments["num_cluster_list"]:
        clusters, squared = prototypes.clusters_of(
            points, count, arguments["Niter"], mean_density=arguments["temperature"]
        )
        produced |= {
            f"assignment_{count}": clusters.assignment,
            f"centroids_{count}": clusters.centroids,
            f"density_{count}": clusters.density,
            f"squared_distance_{count}": squared,
        }
    return {name: value.numpy() for name, value in produced.items()}


class Items:
    """Embeddings [identity, item] of both modalities and the case's rules for other people."""

    def __init__(self, case: Case) -> None:
        (share,) = case.numbers("of identity i = # identity[i]")
        identity = case.input("identity")
        self.faces, self.voices = (
            np.float32(share) * identity[:, None] + case.input(f"{name}_noise")
            for name in ("face", "voice")
        )
        self.people = len(identity)
        self.other_rule = whole(case.numbers("(i + # + ((# i + # j + # k) mod "))
        self.right = whole(case.numbers("candidate 0 = item (# j + #) mod n of identity i"))
        (self.step,) = whole(case.numbers("item (i + # j + k) mod n"))

    def sides(self, direction: str) -> tuple[np.ndarray, np.ndarray]:
        """Probes and candidates of `v2f` or `f2v`."""
        both = {"v": self.voices, "f": self.faces}
        return both[direction[0]], both[direction[2]]

    def other(self, i: int, j: int, k: int) -> int:
        start, a, b, c = self.other_rule
        return (i + start + ((a * i + b * j + c * k) % (self.people - 1))) % self.people

    def matching(self, direction: str, candidates: int, other: Callable) -> float:
        """Accuracy of one trial per probe."""
        probes, gallery = self.sides(direction)
        n = gallery.shape[1]
        trials = []
        for i in range(len(probes)):
            for j in range(probes.shape[1]):
                row = [i * probes.shape[1] + j, i * n + (self.right[0] * j + self.right[1]) % n]
                for k in range(candidates - 1):
                    row.append(other(i, j, k) * n + (i + self.step * j + k) % n)
                trials.append(row)
        return matching.accuracy(flat(probes), flat(gallery), np.array(trials))

    def precisions(self, direction: str) -> np.ndarray:
        """Average precision of every probe against everything."""
        probes, gallery = self.sides(direction)
        return retrieval.average_precisions(
            flat(probes), flat(gallery), *(np.repeat(*side) for side in owners(probes, gallery))
        )


def flat(items: np.ndarray) -> np.ndarray:
    return items.reshape(-1, items.shape[-1])


def owners(*sides: np.ndarray) -> list[tuple[np.ndarray, int]]:
    return [(np.arange(len(side)), side.shape[1]) for side in sides]


def described_trials(case: Case) -> list[tuple[str, int, bool]]:
    """Direction, number of candidates and whether all have one gender, from the case's words."""
    words = " ".join(case.description["notes"])
    listed = re.search(r'"matching" = \[(.*?)\]', words)[1].split(",")
    parts = [re.fullmatch(r"\s*(v2f|f2v) 1:(\d+)( same gender)?", entry) for entry in listed]
    return [(part[1], int(part[2]), part[3] is not None) for part in parts]


def sss_metrics(case: Case) -> Arrays:
    items = Items(case)
    twice, one, a, b = whole(case.numbers("same(i, j) = (i + # (# + ((# i + # j) mod "))
    others = items.people // twice - 1

    def same(i: int, j: int, k: int) -> int:
        return (i + twice * (one + ((a * i + b * j) % others))) % items.people

    areas = []
    (positive,) = whole(case.numbers("with item (j + #) mod n of identity i (positive)"))
    for direction in ("v2f", "f2v"):
        probes, gallery = items.sides(direction)
        n, pairs = gallery.shape[1], []
        for i in range(len(probes)):
            for j in range(probes.shape[1]):
                probe = i * probes.shape[1] + j
                pairs.append((probe, i * n + (j + positive) % n))
                pairs.append((probe, items.other(i, j, 0) * n + j % n))
        values = verification.scores(flat(probes), flat(gallery), np.array(pairs))
        areas.append(verification.auc(values, np.arange(len(pairs)) % 2 == 0))
    lists = re.findall(r"\[([01](?:,[01])+)\]", " ".join(case.description["notes"]))
    return {
        "matching": np.array(
            [
                items.matching(direction, candidates, same if alike else items.other)
                for direction, candidates, alike in described_trials(case)
            ]
        ),
        "verification_auc": np.array(areas),
        "retrieval_map": np.array([items.precisions(d).mean() for d in ("v2f", "f2v")]),
        "average_precision": np.array(
            [retrieval.average_precision(np.array(text.split(","), int)) for text in lists]
        ),
    }


def cmpc_metrics(case: Case) -> Arrays:
    items = Items(case)
    (step,) = whole(case.numbers("faces j and (j + #) mod n"))
    n = items.faces.shape[1]
    voices = items.voices.mean(1)
    faces = flat((items.faces + items.faces[:, (np.arange(n) + step) % n]) / 2)
    pairs = []
    for i in range(len(items.faces)):
        for j in range(n):
            pairs += [(i, i * n + j), (items.other(i, j, 0), i * n + j)]
    values = verification.scores(voices, faces, np.array(pairs))
    labels = np.arange(len(pairs)) % 2 == 0
    precisions = items.precisions("v2f")
    return {
        "matching": np.array(
            [
                items.matching(d, candidates, items.other)
                for d, candidates, _ in described_trials(case)
            ]
        ),
        "verification_scores": values,
        "verification": np.array(
            [verification.auc(values, labels), verification.equal_error_rate(values, labels)]
        ),
        "retrieval": np.array([precisions.mean(), items.precisions("f2v").mean()]),
        "average_precision_first_voices": precisions[
            : case.arrays["average_precision_first_voices"].shape[0]
        ],
    }


ADAPTERS = {
    "cmpc-clustering": cmpc_clustering,
    "cmpc-losses": cmpc_losses,
    "cmpc-metrics": cmpc_metrics,
    "sss-identity-weights": sss_identity_weights,
    "sss-losses": sss_losses,
    "sss-metrics": sss_metrics,
}
