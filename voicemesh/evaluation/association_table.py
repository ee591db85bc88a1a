"""Figures of voice-face association side by side: ours, chance, bounds, and the papers'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .association import DIRECTIONS

COLUMNS = (  # measure, kind, heading
    ("matching", "free", "1:2 U"),
    ("matching", "same sex", "1:2 G"),
    ("matching", "same sex and age", "1:2 GA"),
    ("verification", "free", "AUC U"),
    ("verification", "same sex", "AUC G"),
    ("verification", "same sex and age", "AUC GA"),
    ("equal error rate", "free", "EER U"),
    ("retrieval", "", "mAP"),
)
SIDES = dict(zip(DIRECTIONS, ("V -> F", "F -> V"), strict=True))


@dataclass(frozen=True)
class Published:
    """Figures of a paper, in percent; None where it gives none. Of its own lists only."""

    system: str
    data: str
    direction: str
    figures: tuple[float | None, ...]  # in the order of COLUMNS


SSS, PINS = "SSS (Wen 2021)", "PINs (Nagrani 2018)"
VOXCELEB, PINS_LISTS = "VoxCeleb1, SSS lists", "VoxCeleb1, PINs lists"
PUBLISHED = (
    Published(SSS, VOXCELEB, DIRECTIONS[0], (87.2, 77.7, None, 87.2, 77.5, None, None, 5.5)),
    Published(PINS, PINS_LISTS, DIRECTIONS[0], (None, None, None, 78.5, 61.1, None, 29.6, None)),
    Published(SSS, VOXCELEB, DIRECTIONS[1], (86.5, 75.3, None, 87.0, 76.1, None, None, 5.8)),
)


def table(
    results: Mapping[str, Mapping[str, Any]],
    data: str,
    against: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Systems measured on `data`, chance, and published figures, in percent with intervals.

    `against` names, of those among the results, ours with the ceilings that each is placed below.
    """
    heads = "".join(f"{heading:>21}" for _, _, heading in COLUMNS)
    lines = [f"{'':<8}{'system':<32}{'data':<38}{heads}"]
    for direction in DIRECTIONS:
        for system, found in results.items():
            shown = [percent(**entry) for entry in entries(found[direction])]
            lines.append(line(direction, system, data, shown))
        first = next(iter(results.values()))[direction]
        lines.append(line(direction, "chance", data, [f"{100 * v:.1f}" for v in chances(first)]))
        for system, best in ((one, best) for one, some in (against or {}).items() for best in some):
            way = way_to_ceiling(results[system][direction], results[best][direction])
            shown = ["-" if share is None else f"{100 * share:.0f} % of the way" for share in way]
            lines.append(line(direction, system, f"to the {best}", shown))
        for paper in PUBLISHED:
            if paper.direction == direction:
                shown = ["-" if figure is None else f"{figure:.1f}" for figure in paper.figures]
                lines.append(line(direction, paper.system, paper.data, shown))
    return "\n".join(lines)


def way_to_ceiling(found: Mapping[str, Any], best: Mapping[str, Any]) -> list[float | None]:
    """How far along from chance to the ceiling each column of a direction is.

    None where the ceiling's own interval reaches chance, so that there is no way to go.
    """
    return [
        None
        if top["low"] <= chance <= top["high"]
        else (own["value"] - chance) / (top["value"] - chance)
        for own, top, chance in zip(entries(found), entries(best), chances(found), strict=True)
    ]


def entries(found: Mapping[str, Any]) -> list[dict[str, float]]:
    """The estimates of one direction in the order of COLUMNS."""
    return [found[measure][kind] if kind else found[measure] for measure, kind, _ in COLUMNS]


def chances(found: Mapping[str, Any]) -> list[float]:
    """What knowing nothing gives, in the order of COLUMNS."""
    return [found["retrieval chance"] if measure == "retrieval" else 0.5 for measure, *_ in COLUMNS]


def brief_of(found: Mapping[str, Any]) -> dict[str, list[float]]:
    """Value and 95 % interval of every column, in percent, of one direction."""
    return {
        heading: [round(100 * value, 2) for value in entry.values()]
        for (_, _, heading), entry in zip(COLUMNS, entries(found), strict=True)
    }


def percent(value: float, low: float, high: float) -> str:
    """An estimate in percent."""
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def line(direction: str, system: str, data: str, shown: Sequence[str]) -> str:
    """One row of the table."""
    cells = "".join(f"{entry:>21}" for entry in shown)
    return f"{SIDES[direction]:<8}{system:<32}{data:<38}{cells}"
