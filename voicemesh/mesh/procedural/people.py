"""People to learn from: lengths drawn like adults', traits corrected until they are met."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from voicemesh.mesh.landmarks import LENGTHS
from voicemesh.mesh.morphable import Measure

from .anatomy import TRAITS, average
from .heads import Grower
from .points import measures

# Adults' lengths, mm: large mode mean and deviation, small mode mean and deviation, loadings on
# stature, adiposity, robusticity, size of the skull, long face; change per decade after 30.
ADULTS = {
    "head_circumference": (575.7, 17.1, 554.9, 18.5, (0.28, 0.20, 0, 0.80, 0), 0),
    "head_length": (197.3, 7.4, 187.5, 7.2, (0.25, 0.05, 0, 0.68, 0.10), 0),
    "head_breadth": (153.0, 6.0, 146.8, 5.6, (0.12, 0.18, 0, 0.72, -0.10), 0),
    "min_frontal_breadth": (105.5, 5.7, 102.9, 5.4, (0.10, 0.15, 0, 0.45, 0), 0),
    "bizygomatic": (143.5, 6.9, 135.1, 6.5, (0.15, 0.40, 0.12, 0.68, -0.08), 0.3),
    "bigonial": (120.4, 10.4, 110.1, 8.9, (0.12, 0.48, 0.22, 0.42, 0), 0.8),
    "subnasale_sellion": (52.0, 4.1, 48.2, 3.8, (0.15, 0, 0, 0.25, 0.45), 0.5),
    "subnasale_menton": (72.5, 5.5, 68.0, 4.8, (0.18, 0.05, 0.20, 0.22, 0.60), 0.3),
    "interpupillary": (64.5, 3.6, 61.9, 3.5, (0.12, 0.08, 0, 0.48, 0), 0.1),
    "nose_breadth": (36.6, 4.1, 33.2, 3.9, (0.08, 0.20, 0, 0.22, 0), 0.5),
    "nose_protrusion": (21.1, 2.7, 19.8, 2.7, (0.08, 0, 0, 0.12, 0.15), 0.3),
    "lip_length": (51.1, 4.2, 48.0, 4.0, (0.08, 0.12, 0, 0.25, 0), 0.4),
    "chin_height": (31.5, 3.0, 28.0, 2.8, (0.12, 0, 0.22, 0.15, 0.42), 0.2),
    "upper_vermilion": (8.0, 1.4, 8.7, 1.3, (0, 0, 0, 0, 0), -0.45),
    "ear_length": (63.5, 4.0, 59.0, 3.8, (0.15, 0, 0, 0.10, 0), 2.2),
    "palpebral_length": (31.3, 1.6, 30.7, 1.6, (0, 0, 0, 0.30, 0), -0.1),
    "neck_circumference": (395.0, 28.0, 335.0, 26.0, (0.15, 0.70, 0.25, 0.10, 0), 3.0),
}
NAMES = tuple(ADULTS)  # the face length is no free choice: it follows from its two parts
TIES = {  # of what the latents leave over: a girth does not forget its length and breadth
    ("head_circumference", "head_length"): 0.55,
    ("head_circumference", "head_breadth"): 0.15,
    ("head_length", "head_breadth"): -0.30,
    ("subnasale_sellion", "subnasale_menton"): -0.35,
    ("nose_breadth", "lip_length"): 0.20,
    ("chin_height", "subnasale_menton"): 0.45,
}
LOADS = {  # traits without a measured length that go with the same latents
    "vault": (0.15, 0, 0, 0.6, 0.1),
    "gonion": (-0.15, 0, -0.2, -0.2, -0.5),
    "fat": (0, 0.8, 0, 0, 0),
    "cheek_fat": (0, 0.55, 0, 0, 0),
    "brow_ridge": (0, 0, 0.4, 0, 0),
    "chin_width": (0, 0, 0.35, 0, 0),
}
ACCEPTED = 0.5  # mm; lengths that no head can have together are drawn again
CLOSE = 0.1  # mm; no further correction
REACH = 4.5  # deviations of a trait to which a correction may go
WIDEST = 2.4  # deviations; nobody is drawn further out
CORRECTED = [LENGTHS.index(name) for name in NAMES]


def _draw(rng: np.random.Generator) -> tuple[dict[str, float], Float[np.ndarray, " n"], float]:
    """One person: free traits, wanted lengths, mode (1 large, 0 small)."""
    large = float(rng.integers(2))
    latents = rng.normal(size=5)
    age = float(np.clip(18 + rng.gamma(2.2, 11), 18, 80))

    def level(loads: tuple[float, ...], rest: float) -> float:
        a = np.array(loads)
        return float(np.clip(a @ latents + np.sqrt(1 - a @ a) * rest, -WIDEST, WIDEST))

    traits = average(large)
    for name, (*_, deviation) in TRAITS.items():
        traits[name] += deviation * level(LOADS.get(name, (0.0,) * 5), rng.normal())
    traits["age"] = age
    rests, wanted = np.linalg.cholesky(_ties()) @ rng.normal(size=len(NAMES)), []
    for row, rest in zip(ADULTS.values(), rests, strict=True):
        men, men_sd, women, women_sd, loads, decade = row
        mean, deviation = (men, men_sd) if large else (women, women_sd)
        wanted.append(mean + deviation * level(loads, rest) + decade * (age - 38) / 10)
    return traits, np.array(wanted), large


def _ties() -> Float[np.ndarray, "n n"]:
    """Correlations of what the latents leave over."""
    ties = np.eye(len(NAMES))
    for (a, b), r in TIES.items():
        ties[NAMES.index(a), NAMES.index(b)] = ties[NAMES.index(b), NAMES.index(a)] = r
    return ties


@dataclass(eq=False)
class Tailor:
    """Corrects traits until the lengths on the mesh are the wanted ones."""

    grower: Grower

    def __post_init__(self) -> None:
        self.polylines: dict[str, Measure] = measures(self.grower)
        here = average(0.5)
        self.slope = np.zeros((len(NAMES), len(NAMES)))
        lengths = self._lengths(self.grower.vertices(here))
        for k, name in enumerate(NAMES):
            step = 0.5 * TRAITS[name][2]
            moved = self._lengths(self.grower.vertices(here | {name: here[name] + step}))
            self.slope[:, k] = (moved - lengths) / step
        self.inverse = np.linalg.inv(self.slope)
        table = np.array([TRAITS[name] for name in NAMES])
        reach = REACH * table[:, 2]
        self.bounds = table[:, :2].min(1) - reach, table[:, :2].max(1) + reach

    def fit(
        self, traits: dict[str, float], wanted: Float[np.ndarray, " n"], steps: int = 4
    ) -> tuple[Float[np.ndarray, "v 3"], dict[str, float], float]:
        """Vertices of a head with the wanted lengths, its traits, the largest error in mm."""
        traits, inverse = dict(traits), self.inverse.copy()
        last = step_taken = None
        for step in range(steps + 1):
            vertices = self.grower.vertices(traits)
            error = self._lengths(vertices) - wanted
            if step == steps or not np.abs(error).max() >= CLOSE:
                break
            if step_taken is not None:  # Broyden's update of the inverse slope
                change = inverse @ (error - last)
                scale = step_taken @ change
                if abs(scale) > 0.2 * (step_taken @ step_taken):
                    inverse += np.outer(step_taken - change, step_taken @ inverse) / scale
            before = np.array([traits[name] for name in NAMES])
            after = np.clip(before - inverse @ error, *self.bounds)
            traits |= dict(zip(NAMES, after.tolist(), strict=True))
            last, step_taken = error, after - before
        return vertices, traits, float(np.abs(error).max())

    def _lengths(self, vertices: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, " n"]:
        return lengths(vertices, self.polylines)[CORRECTED]


def lengths(
    vertices: Float[np.ndarray, "v 3"], polylines: dict[str, Measure]
) -> Float[np.ndarray, " m"]:
    """Polyline lengths in mm."""
    totals = []
    for measure in polylines.values():
        a, b = np.array(measure.segments()).T
        totals.append(np.linalg.norm(vertices[a] - vertices[b], axis=1).sum())
    return np.array(totals)


def crowd(
    grower: Grower, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n v 3"], Float[np.ndarray, " n"]]:
    """Vertices of `count` people and the largest length error of each, mm."""
    tailor = Tailor(grower)
    heads: list[Float[np.ndarray, "v 3"]] = []
    errors: list[float] = []
    while len(heads) < count:
        traits, wanted, _ = _draw(rng)
        vertices, _, error = tailor.fit(traits, wanted)
        if error < ACCEPTED:
            heads.append(vertices.astype(np.float32))
            errors.append(error)
    return np.stack(heads), np.array(errors)
