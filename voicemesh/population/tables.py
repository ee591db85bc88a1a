"""The numbers of the law: sizes of heads, habits of voices, and what ties them together.

Sizes follow working-age surveys of men and women; loadings are design values chosen so that the
correlations of the surveys and the weak ties known between bodies and voices come out.
"""

from dataclasses import dataclass, field
from math import log

LATENTS = ("stature", "adiposity", "robusticity", "cranial_size", "long_face")
VOWELS = ("IY IH EY EH AE AA AO OW UH UW AH ER AY AW AX").split()


@dataclass(frozen=True)
class LengthLaw:
    """One length of the head: size by mode (large, small), ageing, loadings on the latents."""

    mean: tuple[float, float]  # mm
    deviation: tuple[float, float]  # mm
    per_decade: float  # mm, counted from 30 years
    loadings: tuple[float, float, float, float, float]  # in the order of LATENTS


LENGTH_LAW = {
    "head_circumference": LengthLaw((575.7, 554.9), (17.1, 18.5), 0.0, (0.28, 0.20, 0, 0.80, 0)),
    "head_length": LengthLaw((197.3, 187.5), (7.4, 7.2), 0.0, (0.25, 0.05, 0, 0.68, 0.10)),
    "head_breadth": LengthLaw((153.0, 146.8), (6.0, 5.6), 0.0, (0.12, 0.18, 0, 0.72, -0.10)),
    "min_frontal_breadth": LengthLaw((105.5, 102.9), (5.7, 5.4), 0.0, (0.10, 0.15, 0, 0.45, 0)),
    "bizygomatic": LengthLaw((143.5, 135.1), (6.9, 6.5), 0.3, (0.15, 0.40, 0.12, 0.68, -0.08)),
    "bigonial": LengthLaw((120.4, 110.1), (10.4, 8.9), 0.8, (0.12, 0.48, 0.22, 0.42, 0)),
    "menton_sellion": LengthLaw((122.7, 113.4), (7.0, 6.1), 0.5, (0.24, 0.08, 0.15, 0.33, 0.62)),
    "subnasale_sellion": LengthLaw((52.0, 48.2), (4.1, 3.8), 0.5, (0.15, 0, 0, 0.25, 0.45)),
    "subnasale_menton": LengthLaw((70.5, 65.0), (5.5, 4.8), 0.3, (0.18, 0.05, 0.20, 0.22, 0.60)),
    "interpupillary": LengthLaw((64.5, 61.9), (3.6, 3.5), 0.1, (0.12, 0.08, 0, 0.48, 0)),
    "nose_breadth": LengthLaw((36.6, 33.2), (4.1, 3.9), 0.5, (0.08, 0.20, 0, 0.22, 0)),
    "nose_protrusion": LengthLaw((21.1, 19.8), (2.7, 2.7), 0.3, (0.08, 0, 0, 0.12, 0.15)),
    "lip_length": LengthLaw((51.1, 48.0), (4.2, 4.0), 0.4, (0.08, 0.12, 0, 0.25, 0)),
    "chin_height": LengthLaw((31.5, 28.0), (3.0, 2.8), 0.2, (0.12, 0, 0.22, 0.15, 0.42)),
    "upper_vermilion": LengthLaw((8.0, 8.7), (1.4, 1.3), -0.45, (0, 0, 0, 0, 0)),
    "ear_length": LengthLaw((63.5, 59.0), (4.0, 3.8), 2.2, (0.15, 0, 0, 0.10, 0)),
    "palpebral_length": LengthLaw((31.3, 30.7), (1.6, 1.6), -0.1, (0, 0, 0, 0.30, 0)),
    "neck_circumference": LengthLaw((395.0, 335.0), (28.0, 26.0), 3.0, (0.15, 0.70, 0.25, 0.10, 0)),
}


# Correlations of what the latents leave over. The latents alone would let a face be longer than
# its nose and lower face together and a head's girth forget its length and breadth; no head could
# then have the lengths asked for. The survey correlations stay within 0.1.
RESIDUAL_TIES = {
    ("head_circumference", "head_length"): 0.55,
    ("head_circumference", "head_breadth"): 0.15,
    ("head_length", "head_breadth"): -0.30,
    ("menton_sellion", "subnasale_sellion"): 0.25,
    ("menton_sellion", "subnasale_menton"): 0.80,
    ("subnasale_sellion", "subnasale_menton"): -0.35,
    ("nose_breadth", "lip_length"): 0.20,
}


@dataclass(frozen=True)
class VoiceLaw:
    """One habit of the voice: base and spread by mode (large, small), ageing, ties, change."""

    base: tuple[float, float]  # at 30 years
    deviation: tuple[float, float]
    per_decade: float = 0.0
    session: float = 0.0  # deviation from recording to recording
    loadings: dict[str, float] = field(
        default_factory=dict
    )  # on latents and lengths, at coupling 1


def _session(deviation: float) -> float:
    return 0.6 * deviation  # from one recording to the next, as a share of the spread of people


VOICE_LAW = {
    # natural logarithm of Hz; its curve over age is in law.voice_of
    "log_f0": VoiceLaw(
        (log(115), log(207)),
        (0.145, 0.120),
        session=0.055,
        loadings={"stature": -0.10, "robusticity": -0.28, "adiposity": -0.05},
    ),
    # natural logarithm of the apparent tract length in cm
    "log_vtl": VoiceLaw(
        (log(17.0), log(14.7)),
        (0.045, 0.045),
        per_decade=0.01,
        session=0.02,
        loadings={
            "stature": 0.45,
            "long_face": 0.25,
            "cranial_size": 0.15,
            "robusticity": 0.12,
            "adiposity": 0.08,
        },
    ),
    # share of the mouth in the tract; moves F1 and F2 against F3 and F4
    "oral": VoiceLaw(
        (-0.3, 0.3),
        (1.0, 1.0),
        session=_session(1.0),
        loadings={"menton_sellion": 0.20, "bigonial": 0.12},
    ),
    # size of the nasal cavity
    "nasal": VoiceLaw(
        (0.3, -0.3),
        (1.0, 1.0),
        session=_session(1.0),
        loadings={"nose_breadth": 0.25, "subnasale_sellion": 0.25},
    ),
    # height of the hiss in s and sh
    "sibilant": VoiceLaw(
        (-0.5, 0.5),
        (1.0, 1.0),
        session=_session(1.0),
        loadings={"bigonial": -0.18, "chin_height": -0.15},
    ),
    # damping of the tract
    "bandwidth": VoiceLaw(
        (0.0, 0.0),
        (1.0, 1.0),
        session=_session(1.0),
        loadings={"lip_length": 0.20, "adiposity": 0.12},
    ),
    # shape of the glottal pulse: pressed 0.4, breathy 2.6
    "rd": VoiceLaw(
        (0.90, 1.25),
        (0.28, 0.33),
        per_decade=0.04,
        session=_session(0.28),
        loadings={"robusticity": -0.10},
    ),
    "log_jitter": VoiceLaw((log(0.006),) * 2, (0.4, 0.4), 0.10, _session(0.4)),
    "log_shimmer": VoiceLaw((log(0.035),) * 2, (0.4, 0.4), 0.10, _session(0.4)),
    "log_breath": VoiceLaw((log(0.010), log(0.018)), (0.7, 0.7), 0.12, _session(0.7)),
    "tilt": VoiceLaw((0.0, 0.0), (1.5, 1.5), -0.30, _session(1.5)),  # > 0 darkens
    "log_rate": VoiceLaw((0.0, 0.0), (0.12, 0.12), -0.02, _session(0.12)),
    "log_f0_spread": VoiceLaw((log(2.8),) * 2, (0.35, 0.35), 0.0, _session(0.35)),
    "creak": VoiceLaw((0.3, 0.3), (0.3, 0.3), 0.0, _session(0.3)),
    "nasality": VoiceLaw((0.1, 0.1), (0.12, 0.12), 0.0, _session(0.12)),
}
VOICE = tuple(VOICE_LAW)
