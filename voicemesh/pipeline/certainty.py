"""How sure an estimate is: after one recording, and after several of the same voice."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy.special import gammaincinv
from torch import Tensor
from torch.nn import functional

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.systems.cmp import CrossModalPerceptionist
from voicemesh.systems.fusion import TRAITS, Repeats, interval_shares, left_after

from .portrait import CONFIDENCE

NORMAL_80 = 1.2816  # standard deviations on either side that hold 80 %
HEARD = {"log_f0": 1, "log_vtl": 2}  # columns of the traits


@dataclass(frozen=True, eq=False)
class Certainty:
    """Half-widths of 80 % intervals; None where the bundle does not know."""

    uncertainty: Float32[np.ndarray, " v"] | None = None  # mm around each vertex
    lengths: Float[Tensor, " m"] | None = None  # mm
    log_f0: float | None = None
    log_vtl: float | None = None

    @classmethod
    def after_one(cls, system: CrossModalPerceptionist) -> "Certainty":
        """As the bundle's statistics were measured."""
        known = system.statistics
        spread = known.get("residual_covariance")
        return cls(
            uncertainty=None if spread is None else vertex_radius(system.face_model, spread),
            lengths=known.get("measure_interval"),
            **{name: float(known[key]) for name in HEARD if (key := f"{name}_interval") in known},
        )

    def after(
        self, count: int, system: CrossModalPerceptionist, repeats: dict[str, Tensor]
    ) -> "Certainty":
        """After `count` recordings of different days: what a session adds has averaged out."""
        known = system.statistics
        lengths, uncertainty = self.lengths, self.uncertainty
        shapes, won = won_by(count, system, repeats)
        if "residual_covariance" in known:
            before = known["residual_covariance"]
            left = left_after(shapes, before)
            uncertainty = vertex_radius(system.face_model, left)
            if lengths is not None:
                lengths = lengths * interval_shares(system.face_model.sensitivity(), before, left)
        heard = {}
        for name, column in HEARD.items():
            half = getattr(self, name)
            if half is not None:
                variance = (half / NORMAL_80 / float(known[f"{name}_scale"][1])) ** 2
                heard[name] = half * max(0.0, 1 - float(won[column]) / variance) ** 0.5
        return Certainty(uncertainty, lengths, **heard)


def won_by(
    count: int, system: CrossModalPerceptionist, repeats: dict[str, Tensor]
) -> tuple[Float[Tensor, "s s"], Float[Tensor, " traits"]]:
    """What `count` recordings take away of the errors of one: covariance of shapes, variances.

    The variances are those of the traits' z-scores.
    """
    if system.joining is None:
        shapes, traits = Repeats.of(repeats), Repeats.of(repeats, TRAITS)
        return shapes.gained(count), traits.gained(count).diagonal()
    gained = system.joining.gained(count)
    size = system.face_model.shape_basis.shape[2]
    return gained[:size, :size], functional.pad(gained.diagonal()[size:], (1, 0))


def vertex_radius(
    model: MorphableModel, spread: Float[Tensor, "s s"], confidence: float = CONFIDENCE
) -> Float32[np.ndarray, " v"]:
    """Radius in mm around each vertex that holds the true one with this confidence.

    `spread` is the covariance of the whitened shape parameters given the voice. The squared
    distance is a weighted sum of chi-squares; one scaled chi-square of the same mean and variance
    stands for it (Satterthwaite).
    """
    basis = (model.shape_basis * model.shape_deviation).double()
    covariance = basis @ spread.double() @ basis.mT
    mean = covariance.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-12)
    squares = covariance.square().sum((1, 2)).clamp(min=1e-24)
    scale, degrees = (squares / mean).cpu().numpy(), (mean.square() / squares).cpu().numpy()
    return np.sqrt(scale * 2 * gammaincinv(degrees / 2, confidence)).astype(np.float32)
