"""Prototypes of CMPC: clusters of the faces trained on, and whose face comes near a voice."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import CMPC_PROTOTYPES

COUNT = 3  # clusters that VoiceStyle looks into, as published
STEP = 500  # clusters by which the published levels grow: 500, 1000, 1500
TEMPERATURE = 0.03  # of the weights of neighbours, in cosines: that of CMPC's training


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Members whose faces fit a voice, the nearest first."""

    rows: Int64[Tensor, " neighbours"]  # of the table of members
    similarity: Float[Tensor, " neighbours"]  # cosine
    weights: Float[Tensor, " neighbours"]  # add up to one


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Clusterings of faces, from coarse to fine, and the table of the faces in them."""

    centroids: tuple[Float[Tensor, "_ embedding"], ...]  # one per level
    assignment: tuple[Int64[Tensor, " members"], ...]  # cluster of each member, per level
    person: Int64[Tensor, " members"]
    picture: Int64[Tensor, " members"]  # which of the person's pictures or videos
    names: tuple[str, ...] = ()  # of the members, as published; else nobody has a name
    faces: Float[Tensor, "members embedding"] | None = None  # unit; no published file has them

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: torch.device | str = "cpu") -> "Prototypes":
        """Those of a bundle."""
        return cls.from_tensors(
            {name: value.to(device) for name, value in bundle.tensors(CMPC_PROTOTYPES).items()}
        )

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> "Prototypes":
        """Out of the tensors that `tensors` makes.

        Raises:
            ValueError: no level, or one without its members.
        """
        levels = sum(name.startswith("centroids_") for name in tensors)
        wanted = [f"{kind}_{n}" for n in range(levels) for kind in ("centroids", "assignment")]
        missing = [name for name in (*wanted, "person", "picture") if name not in tensors]
        if missing or not levels:
            raise ValueError(f"Prototypes lack {', '.join(missing) or 'every level'}")
        words = tensors.get("names")
        faces = tensors.get("faces")
        return cls(
            tuple(tensors[f"centroids_{n}"].float() for n in range(levels)),
            tuple(tensors[f"assignment_{n}"].long() for n in range(levels)),
            tensors["person"].long(),
            tensors["picture"].long(),
            () if words is None else tuple(bytes(words.tolist()).decode().splitlines()),
            None if faces is None else functional.normalize(faces.float()),
        )

    def tensors(self) -> dict[str, Shaped[Tensor, "..."]]:
        """A table of numbers for a bundle; directions in half precision."""
        table: dict[str, Tensor] = {"person": self.person.int(), "picture": self.picture.int()}
        for number, (centroids, assignment) in enumerate(
            zip(self.centroids, self.assignment, strict=True)
        ):
            table[f"centroids_{number}"] = centroids.half()
            table[f"assignment_{number}"] = assignment.int()
        if self.names:
            text = "".join(f"{name}\n" for name in self.names)
            table["names"] = torch.tensor(list(text.encode()), dtype=torch.uint8)
        if self.faces is not None:
            table["faces"] = self.faces.half()
        return table

    def published_members(
        self, voice: Float[Tensor, " embedding"], clusters: int = 1000, count: int = COUNT
    ) -> Int64[Tensor, " found"]:
        """All members of the nearest clusters in table order, whoever is nearest to the voice.

        Args:
            clusters: 500, 1000 or 1500: the level, as the published code names it.

        Source: audio-visual/cmpc2, memory.py, getKNearestSamples. Its callers take the first
        eight of them: the alphabetically first people of the three clusters.
        """
        level = clusters // STEP - 1
        if not 0 <= level < len(self.centroids):
            top = STEP * len(self.centroids)
            raise ValueError(f"There is no level of {clusters} clusters; ask for {STEP} to {top}")
        units = functional.normalize(self.centroids[level])
        distance = (units - functional.normalize(voice, dim=0)).square().sum(1)
        chosen = distance.topk(min(count, len(units)), largest=False).indices
        return torch.isin(self.assignment[level], chosen).nonzero()[:, 0]

    def nearest(
        self,
        voice: Float[Tensor, " embedding"],
        count: int = 8,
        per_person: int = 1,
        temperature: float = TEMPERATURE,
    ) -> Neighbours:
        """The members most similar to a voice, at most `per_person` of one person.

        Without the members' own faces the centroid of their finest cluster stands for each.
        Weights are the softmax of the similarities over `temperature`.
        """
        finest = max(range(len(self.centroids)), key=lambda n: len(self.centroids[n]))
        faces = self.centroids[finest] if self.faces is None else self.faces
        similarity = functional.normalize(faces) @ functional.normalize(voice, dim=0)
        if self.faces is None:
            similarity = similarity[self.assignment[finest]]
        order = similarity.argsort(descending=True, stable=True)
        rows = order[turn_of(self.person[order]) < per_person][:count]
        weights = (similarity[rows] / temperature).softmax(0)
        return Neighbours(rows, similarity[rows], weights)


def turn_of(labels: Int64[Tensor, " rows"]) -> Int64[Tensor, " rows"]:
    """How often the label of each row came before."""
    order = labels.argsort(stable=True)
    _, counts = labels.unique(return_counts=True)
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    turns = torch.empty_like(order)
    turns[order] = torch.arange(len(labels), device=labels.device) - starts
    return turns
