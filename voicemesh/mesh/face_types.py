"""Sex and face type of a mesh: the nearest among a few reference meshes of the same model.

Source: choyingw/Cross-Modal-Perceptionist, demo_mic.py. Its reference meshes are no part of the
repository; `type_params` builds references for any model from people whose lengths are known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

from .landmarks import RATIO_LENGTHS, RATIOS
from .metrics import pair_lengths
from .morphable import MorphableModel

SEXES = ("male", "female")
FACE_TYPES = ("wide", "skinny", "regular", "slim")  # the published order: the first wins a tie
WIDE_TO_NARROW = ("wide", "regular", "slim", "skinny")


@dataclass(frozen=True, eq=False)
class References:
    """One mesh per sex and per face type, all in the frame and scale of the predictions."""

    meshes: Mapping[str, Float[Tensor, "v 3"]]

    def __post_init__(self) -> None:
        missing = [name for name in (*SEXES, *FACE_TYPES) if name not in self.meshes]
        if missing:
            raise ValueError(f"No reference mesh for {', '.join(missing)}")

    @classmethod
    def of(
        cls, model: MorphableModel, shape_params: Mapping[str, Float[Tensor, " s"]]
    ) -> "References":
        """The resting faces of a model at the shape parameters of each sex and face type."""
        return cls({name: model.vertices(params) for name, params in shape_params.items()})


@dataclass(frozen=True)
class Verdict:
    """What the nearest references say, with the figures behind it."""

    sex: str
    face_type: str
    distances: dict[str, float]  # to every reference
    differences: dict[str, float]  # lengths against the mean of that sex, as shares


def mesh_distance(
    vertices: Float[Tensor, "*batch v 3"], reference: Float[Tensor, "v 3"]
) -> Float[Tensor, "*batch"]:
    """The published distance: Frobenius norm over the *number* of vertices, not over its root.

    No alignment: both meshes are in the frame of one model.
    """
    return (vertices - reference).flatten(-2).norm(dim=-1) / len(reference)


def nearest_sex(male: float, female: float) -> str:
    """Male only if strictly nearer."""
    return "male" if male < female else "female"


def judge(
    vertices: Float[Tensor, "v 3"],
    references: References,
    lengths: Callable[[Float[Tensor, "v 3"]], Float[Tensor, "5"]] = pair_lengths,
) -> Verdict:
    """Sex, face type, distances, and the four lengths against the mean of the nearer sex.

    `lengths` gives those of `RATIO_LENGTHS`; for a model with measures of its own they are
    `metrics.named_lengths(model.measure(vertices), model.measures)`.
    """
    distances = {
        name: float(mesh_distance(vertices, references.meshes[name]))
        for name in (*SEXES, *FACE_TYPES)
    }
    sex = nearest_sex(distances["male"], distances["female"])
    ours, usual = lengths(vertices), lengths(references.meshes[sex])
    shares = dict(zip(RATIO_LENGTHS, (ours / usual - 1).tolist(), strict=True))
    return Verdict(
        sex=sex,
        face_type=min(FACE_TYPES, key=distances.__getitem__),
        distances=distances,
        differences={name: shares[name] for name in RATIOS},
    )


def type_params(
    shape_params: Float[Tensor, "n s"],
    width_over_length: Float[Tensor, " n"],
    shares: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
) -> dict[str, Float[Tensor, " s"]]:
    """Shape parameters of the four face types, on one line through the mean of the people.

    The line is the regression of the parameters on the ratio of face width to face length; a type
    stands where its people average, who are the next `shares` of all from wide to narrow.

    Raises:
        ValueError: the shares do not add up to one, or leave a type without people.
    """
    if len(shares) != len(WIDE_TO_NARROW) or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"{len(WIDE_TO_NARROW)} shares that add up to 1 are needed, not {shares}")
    centre, axis = shape_params.mean(0), width_over_length - width_over_length.mean()
    slope = axis @ (shape_params - centre) / (axis @ axis)
    widest_first = axis.sort(descending=True).values
    edges = [round(sum(shares[:k]) * len(axis)) for k in range(len(shares) + 1)]
    groups = [widest_first[a:b] for a, b in pairwise(edges)]
    if not all(len(group) for group in groups):
        raise ValueError(f"{len(axis)} people are too few for face types of shares {shares}")
    return {
        name: centre + slope * group.mean()
        for name, group in zip(WIDE_TO_NARROW, groups, strict=True)
    }
