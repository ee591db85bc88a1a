"""What is told of a head: its lengths among people, breadths in percent, the nearest mean."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from voicemesh.mesh.face_types import SEXES, nearest_sex
from voicemesh.mesh.landmarks import LENGTH_LABELS, RATIO_LABELS, RATIO_LENGTHS, RATIOS
from voicemesh.mesh.metrics import named_lengths
from voicemesh.mesh.morphable import MorphableModel

from .portrait import Estimate, Measurement

LABELS = LENGTH_LABELS | RATIO_LABELS
KNOWN = ("explained", "ceiling", "mean", "deviation")


def measurements(
    model: MorphableModel,
    statistics: Mapping[str, Shaped[Tensor, "..."]],
    resting: Float[Tensor, "v 3"],
    sex: str,
    intervals: Float[Tensor, " m"] | None = None,
) -> tuple[Measurement, ...]:
    """The lengths of a resting head in mm, each beside what is known of people of that sex."""
    known = {name: statistics[key] for name in KNOWN if (key := f"measure_{name}") in statistics}
    for name in ("mean", "deviation"):
        if name in known:
            known[name] = known[name][SEXES.index(sex)] if sex else known[name].mean(0)
    columns = {name: values.tolist() for name, values in known.items()}
    told = []
    lengths = model.measure(resting).tolist()
    for at, (name, value) in enumerate(zip(model.measures, lengths, strict=True)):
        half = None if intervals is None else float(intervals[at])
        told.append(
            Measurement(
                name=name,
                label=LABELS.get(name, name),
                unit="mm",
                value=value,
                low=None if half is None else value - half,
                high=None if half is None else value + half,
                **{name: columns[name][at] if name in columns else None for name in KNOWN},
            )
        )
    return tuple(told)


def percents(
    model: MorphableModel, resting: Float[Tensor, "v 3"], mean: Float[Tensor, "v 3"] | None
) -> dict[str, float]:
    """Forehead, cheeks, ears, mid-face against a mean face, in percent.

    Empty without that mean, or for a model that does not measure them.
    """
    if mean is None or not set(RATIO_LENGTHS) <= set(model.measures):
        return {}
    ours, usual = (
        named_lengths(model.measure(vertices), model.measures) for vertices in (resting, mean)
    )
    shares = dict(zip(RATIO_LENGTHS, (100 * (ours / usual - 1)).tolist(), strict=True))
    return {name: shares[name] for name in RATIOS}


def estimate(value: Float[Tensor, "1"] | None, half: float | None) -> Estimate | None:
    """A positive trait whose interval is a half-width of its logarithm."""
    if value is None:
        return None
    if half is None:
        return Estimate(float(value))
    factor = float(np.exp(half))
    return Estimate(float(value), float(value) / factor, float(value) * factor)


def sex_of(distances: Mapping[str, float]) -> str:
    """Whose mean face is nearest; empty without both means."""
    told = "male" in distances and "female" in distances
    return nearest_sex(distances["male"], distances["female"]) if told else ""
