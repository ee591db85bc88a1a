"""The law of the synthetic population: how bodies, heads and voices hang together.

Every person has five standard normal latents within one of two size modes, an age, 18 lengths of
the head, a habitual voice, and an appearance that has nothing to do with the voice. `coupling`
scales all ties from the body to the voice; 0 gives a control population without any.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float, Int

from voicemesh.mesh.landmarks import LENGTHS

from .appearance import APPEARANCE, AXES, draw_appearance
from .streams import stream
from .tables import LATENTS, LENGTH_LAW, RESIDUAL_TIES, VOICE, VOICE_LAW, VOWELS

HIGHER_FORMANTS = 5  # F4 to F8


@dataclass(frozen=True, eq=False)
class People:
    """Identities as columns: row i of every array is person i."""

    mode: Int[np.ndarray, " people"]  # 0 large (men's sizes), 1 small (women's sizes)
    age: Float[np.ndarray, " people"]  # years
    latents: Float[np.ndarray, "people 5"]  # in the order of LATENTS, within-mode z-scores
    lengths: Float[np.ndarray, "people 18"]  # mm, in the order of LENGTHS
    axes: Float[np.ndarray, "people 3"]  # face axes without any tie, in the order of AXES
    appearance: Float[np.ndarray, "people looks"]  # in the order of APPEARANCE
    voice: Float[np.ndarray, "people quantities"]  # habitual voice, in the order of VOICE
    accent: Float[np.ndarray, "people 2 vowels"]  # factors on F1 and F2 of each vowel
    higher: Float[np.ndarray, "people 5"]  # factors on F4 to F8

    def __len__(self) -> int:
        return len(self.mode)

    def column(self, name: str) -> Float[np.ndarray, " people"]:
        """One quantity by its name: a latent, a length, an axis, a look or a voice quantity."""
        for names, table in (
            (LENGTHS, self.lengths),
            (VOICE, self.voice),
            (LATENTS, self.latents),
            (AXES, self.axes),
            (APPEARANCE, self.appearance),
        ):
            if name in names:
                return table[:, names.index(name)]
        known = (*LENGTHS, *VOICE, *LATENTS, *AXES, *APPEARANCE)
        raise ValueError(f"no quantity {name!r}; known are {', '.join(known)}")

    @property
    def height(self) -> Float[np.ndarray, " people"]:
        """Stature in cm."""
        mean, deviation = np.array([176.0, 163.0]), np.array([7.0, 6.5])
        return mean[self.mode] + deviation[self.mode] * self.latents[:, 0]

    def take(self, rows: Int[np.ndarray, " rows"]) -> "People":
        """The people of these rows."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def arrays(self) -> dict[str, np.ndarray]:
        """All columns by name, ready for a file."""
        return {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}


def draw(count: int, seed: int, coupling: float = 0.8) -> People:
    """Draw `count` people; a longer draw with the same seed begins with the same people.

    Each kind of quantity has its own random stream, so none can leak into another.
    """
    mode = stream(seed, "mode").integers(2, size=(count + 1) // 2)
    mode = np.stack([mode, 1 - mode], axis=1).ravel()[:count]  # as many of each
    age = np.clip(18 + stream(seed, "age").gamma(2.2, 11, count), 18, 80)
    latents = stream(seed, "latents").standard_normal((count, len(LATENTS)))
    residuals = stream(seed, "length residuals").standard_normal((count, len(LENGTHS)))
    sources = np.concatenate([latents, residuals], axis=1)
    own = stream(seed, "voice residuals").standard_normal((count, len(VOICE)))
    ties = coupling * voice_loadings()
    z_voice = sources @ ties.T + own * np.sqrt(1 - (ties**2).sum(1))
    accent = stream(seed, "accent").standard_normal((count, 2, len(VOWELS)))
    higher = stream(seed, "higher formants").standard_normal((count, HIGHER_FORMANTS))
    axes, appearance = draw_appearance(seed, age)
    return People(
        mode=mode,
        age=age,
        latents=latents,
        lengths=lengths_of(sources @ length_loadings().T, mode, age),
        axes=axes,
        appearance=appearance,
        voice=voice_of(z_voice, mode, age),
        accent=np.exp(0.06 * accent),
        higher=np.exp(0.03 * higher),
    )


def length_loadings() -> Float[np.ndarray, "18 sources"]:
    """Loadings of the lengths' z-scores on the latents and on 18 independent residuals."""
    on_latents = np.array([LENGTH_LAW[name].loadings for name in LENGTHS])
    ties = np.eye(len(LENGTHS))
    for (one, other), tie in RESIDUAL_TIES.items():
        i, j = LENGTHS.index(one), LENGTHS.index(other)
        ties[i, j] = ties[j, i] = tie
    own = np.sqrt(1 - (on_latents**2).sum(1))
    return np.concatenate([on_latents, own[:, None] * np.linalg.cholesky(ties)], axis=1)


def voice_loadings() -> Float[np.ndarray, "quantities sources"]:
    """Loadings of the voice's z-scores on the same sources, at full coupling."""
    lengths = length_loadings()
    rows = []
    for name in VOICE:
        row = np.zeros(lengths.shape[1])
        for source, loading in VOICE_LAW[name].loadings.items():
            if source in LATENTS:
                row[LATENTS.index(source)] += loading
            else:
                row += loading * lengths[LENGTHS.index(source)]
        rows.append(row)
    return np.array(rows)


def lengths_of(
    z: Float[np.ndarray, "people 18"],
    mode: Int[np.ndarray, " people"],
    age: Float[np.ndarray, " people"],
) -> Float[np.ndarray, "people 18"]:
    """Lengths in mm from within-mode z-scores."""
    mean = np.array([LENGTH_LAW[name].mean for name in LENGTHS])
    deviation = np.array([LENGTH_LAW[name].deviation for name in LENGTHS])
    per_decade = np.array([LENGTH_LAW[name].per_decade for name in LENGTHS])
    return mean.T[mode] + deviation.T[mode] * z + per_decade * (age[:, None] - 30) / 10


def voice_of(
    z: Float[np.ndarray, "people quantities"],
    mode: Int[np.ndarray, " people"],
    age: Float[np.ndarray, " people"],
) -> Float[np.ndarray, "people quantities"]:
    """Habitual voices from within-mode z-scores."""
    base = np.array([VOICE_LAW[name].base for name in VOICE])
    deviation = np.array([VOICE_LAW[name].deviation for name in VOICE])
    per_decade = np.array([VOICE_LAW[name].per_decade for name in VOICE])
    values = base.T[mode] + deviation.T[mode] * z + per_decade * (age[:, None] - 30) / 10
    men = -0.001 * (np.minimum(age, 55) - 30) + 0.0035 * np.maximum(age - 55, 0)
    women = -0.0015 * (np.minimum(age, 45) - 30) - 0.0045 * np.clip(age - 45, 0, 25)
    values[:, VOICE.index("log_f0")] += np.where(mode == 0, men, women)
    return values
