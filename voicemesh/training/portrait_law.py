"""What a rendered portrait is made of as one row of numbers, and as Gaussian z.

z has one number for the sex, one for each number of a head, one for each of a sitting. Heads of
men and of women have laws of their own, so that Gaussian z is never between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from safetensors.numpy import load_file, save_file
from scipy.special import ndtri

from voicemesh.population.portrait_set import PortraitSet, PortraitShard
from voicemesh.population.portraits import LIGHTS, LOOKS, NEUTRAL_CLOTH, cloth_of, shed
from voicemesh.whole_files import aside

from .copula import Copula, inside, middle

LAW = "law.safetensors"  # its file in the folder of a run
BEARDED = LOOKS.index("stubble")  # above zero for men, zero for women
EXPOSURE = LIGHTS.index("exposure")


def parameters_of(shard: PortraitShard, seed: int = 0) -> Float32[np.ndarray, "rows parameters"]:
    """Shape and look, then expression, pose, light, backdrop and cloth of every picture.

    The exposure is told against that which would light every face alike. `seed` is that of the
    portraits' recipe: the cloth is not kept with them.
    """
    rotation = shard.camera[:, :, :3] / np.linalg.norm(shard.camera[:, :, :3], axis=2)[:, :, None]
    forward = rotation[:, :2, 2]  # where the nose points: right and down
    light, cloth = shard.light.copy(), np.tile(np.float32(NEUTRAL_CLOTH), (len(shard), 1))
    light[:, EXPOSURE] *= [shed(*row[:3], row[4], row[6]) for row in light.tolist()]
    expressions = shard.expression_params.shape[1]
    for row in np.flatnonzero(shard.picture):
        who, which = int(shard.identity[row]), int(shard.picture[row])
        cloth[row] = cloth_of(seed, who, which, expressions)
    who = shard.shape_params, shard.look
    how = shard.expression_params, forward, light, shard.backdrop, cloth
    return np.concatenate([*who, *how], 1).astype(np.float32)


def chosen(portraits: PortraitSet, split: str, neutral: bool) -> PortraitShard:
    """All portraits of a split, or only the neutral ones."""
    shard = portraits.gathered(split)
    if not neutral:
        return shard
    rows = shard.picture == 0
    return PortraitShard(**{name: column[rows] for name, column in vars(shard).items()})


def joined(shards: Sequence[PortraitShard]) -> PortraitShard:
    """Portraits of several populations, one after another."""
    columns = vars(shards[0])
    return PortraitShard(**{c: np.concatenate([vars(s)[c] for s in shards]) for c in columns})


@dataclass(frozen=True, eq=False)
class ParameterLaw:
    """The law of portraits as a map to N(0, I)."""

    heads: tuple[Copula, Copula]  # of women, of men
    sitting: Copula
    women: float  # share
    place: int  # column of a head that is above zero for men alone

    @classmethod
    def of(
        cls, values: Float32[np.ndarray, "rows parameters"], shape: int, seed: int = 0
    ) -> "ParameterLaw":
        """The law of samples, `shape` of whose first columns are of the shape."""
        who, place = shape + len(LOOKS), shape + BEARDED
        male = values[:, place] > 0
        sexes = [values[male == sex, :who] for sex in (False, True)]
        # Where only one sex is known, both have its law.
        heads = tuple(Copula.of(rows if len(rows) else values[:, :who], seed) for rows in sexes)
        return cls(heads, Copula.of(values[:, who:], seed), float((~male).mean()), place)

    @classmethod
    def read(cls, path: Path) -> "ParameterLaw":
        """From the file that `save` wrote.

        Raises:
            ValueError: there is none, or one of another layout.
        """
        if not path.exists():
            raise ValueError(
                f"{path.parent} is no run of stylegan2-portraits: it has no {path.name}; train one"
            )
        held = load_file(path)
        if "sex" not in held:
            raise ValueError(
                f"{path} is of an older version, which knew no sexes; train in a new folder"
            )
        copulas = [Copula(held[f"{n}.knots"], held[f"{n}.correlation"]) for n in range(3)]
        share, place = held["sex"].tolist()
        return cls((copulas[0], copulas[1]), copulas[2], share, int(place))

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        tables = {"sex": np.array([self.women, self.place])}
        for n, copula in enumerate((*self.heads, self.sitting)):
            tables |= {f"{n}.knots": copula.knots, f"{n}.correlation": copula.correlation}
        with aside(path) as unfinished:
            save_file(tables, unfinished)

    @property
    def size(self) -> int:
        """Numbers of z."""
        return 1 + len(self.heads[0].knots) + len(self.sitting.knots)

    @property
    def sitting_from(self) -> int:
        """Where in z the sitting begins."""
        return 1 + len(self.heads[0].knots)

    def z(
        self,
        values: Float32[np.ndarray, "rows parameters"],
        rng: np.random.Generator | None = None,
    ) -> Float32[np.ndarray, "rows z"]:
        """Gaussian values of rows of parameters.

        What many have alike, no beard for one, is a whole range of z: somewhere within it by
        chance if there is `rng`, else in its middle.
        """
        male, who = values[:, self.place] > 0, len(self.heads[0].knots)
        found = np.zeros((len(values), self.size))
        found[:, 0] = self._sexes(male, rng)
        for sex, copula in enumerate(self.heads):
            rows = np.flatnonzero(male == bool(sex))
            found[rows, 1 : 1 + who] = copula.z(values[rows, :who], rng)
        found[:, 1 + who :] = self.sitting.z(values[:, who:], rng)
        return found.astype(np.float32)

    def _sexes(
        self, male: Bool[np.ndarray, " rows"], rng: np.random.Generator | None
    ) -> Float64[np.ndarray, " rows"]:
        """Low for women, high for men."""
        edge = ndtri(self.women)
        low, high = np.where(male, edge, -np.inf), np.where(male, np.inf, edge)
        return middle(low, high) if rng is None else inside(low, high, rng)


def drawn_z(
    law: ParameterLaw, shard: PortraitShard, draws: int, seed: int
) -> Float32[np.ndarray, "draws rows z"]:
    """z of portraits, each drawn so many times."""
    values = parameters_of(shard)
    return np.stack([law.z(values, np.random.default_rng((seed, n))) for n in range(draws)])


def mixed_rows(
    neutral: Bool[np.ndarray, " rows"], count: int, resting: float, rng: np.random.Generator
) -> Int64[np.ndarray, " count"]:
    """Random rows, this share of them of neutral portraits if there are others."""
    rows, some = rng.integers(len(neutral), size=count), round(resting * count)
    if some and neutral.any() and not neutral.all():
        rows[:some] = rng.choice(np.flatnonzero(neutral), some)
        rows[some:] = rng.choice(np.flatnonzero(~neutral), count - some)
    return rows
