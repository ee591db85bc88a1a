"""The head to be turned by hand: in three colourings, or beside another head."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from .drawing import Drawing, Shown
from .dressing import Sitter, dressed, on_scale, packed, sculpted
from .palette import DISTANCE_STOPS, SIGNED_STOPS, levels
from .scene import Trace, colour_bar

View = Literal["skin", "grey", "uncertainty"]
VIEWS: tuple[View, ...] = ("skin", "grey", "uncertainty")


def head(sitter: Sitter, view: View = "skin", alone: bool = False) -> Drawing:
    """A head, and a scale in mm that the uncertainty view shows.

    `alone` leaves out the views that are not asked for: `other_views` has them.

    Raises:
        ValueError: an unknown view, or the uncertainty view without uncertainty.
    """
    known = views_of(sitter)
    if view not in known:
        raise ValueError(f"There is no view {view!r} here; there are {', '.join(known)}")
    worn, wanted = dressed(sitter), [view] if alone else known
    colours = {"skin": worn.head} if "skin" in wanted else {}
    colours |= unworn(sitter, [name for name in wanted if name != "skin"])
    shown = shown_by(colours, len(worn.extras))
    return Drawing([sitter.face], [scale_of(sitter), *worn.extras], shown, view)


def other_views(sitter: Sitter, view: View = "skin") -> Shown:
    """The views that `head` left out when it drew this one alone."""
    colours = unworn(sitter, [name for name in views_of(sitter) if name not in ("skin", view)])
    if view != "skin":
        colours["skin"] = dressed(sitter).head
    return shown_by(colours, sitter.extras)


def views_of(sitter: Sitter) -> tuple[View, ...]:
    """The views in which a head can be seen."""
    return VIEWS if sitter.uncertainty is not None else VIEWS[:2]


def unworn(sitter: Sitter, views: Collection[str]) -> dict[str, UInt8[np.ndarray, "v 3"]]:
    """The colours of the bare head in these of the views that have no skin."""
    if not views:
        return {}
    grey = sculpted(sitter)
    colours = {"grey": levels(grey)}
    if sitter.uncertainty is not None:
        shares = sitter.uncertainty / top_of(sitter)
        colours["uncertainty"] = on_scale(shares, DISTANCE_STOPS, grey)
    return {name: colours[name] for name in views}


def shown_by(colours: Mapping[str, UInt8[np.ndarray, "v 3"]], extras: int) -> Shown:
    """What each view of a head, its scale and so many extras changes."""
    return {
        name: {
            "vertexcolor": [packed(told), *[None] * (1 + extras)],
            "visible": [True, name == "uncertainty", *[name == "skin"] * extras],
        }
        for name, told in colours.items()
    }


def top_of(sitter: Sitter) -> float:
    """The upper end of the scale of the uncertainty view."""
    return 1.0 if sitter.uncertainty is None else largest(sitter.uncertainty)


def scale_of(sitter: Sitter) -> Trace:
    """The scale of the uncertainty view."""
    return colour_bar(sitter.face, (0.0, top_of(sitter)), DISTANCE_STOPS, "mm")


def difference(
    sitters: Sequence[Sitter],
    outward: Float[np.ndarray, " v"],
    names: tuple[str, str] = ("first", "second"),
) -> Drawing:
    """Two heads in one place: either in its skin, or how far the second stands out of the first.

    `outward` is in mm along the first one's surface, negative where the second lies inside. The
    views are the two names and "difference".
    """
    first, second = sitters
    top = largest(np.abs(outward))
    worn = [dressed(sitter) for sitter in sitters]
    shares = (outward + top) / (2 * top)
    signed = packed(on_scale(shares, SIGNED_STOPS, sculpted(second)))
    skins = [packed(one.head) for one in worn]
    extras = [None for both in worn for _ in both.extras]
    on_first = [True] * len(worn[0].extras) + [False] * len(worn[1].extras)
    on_second = [not shown for shown in on_first]
    shown = {
        names[0]: [True, False, False, *on_first],
        names[1]: [False, True, False, *on_second],
        "difference": [False, True, True, *[False] * len(extras)],
    }
    views = {
        name: {
            "vertexcolor": [skins[0], signed if visible[2] else skins[1], None, *extras],
            "visible": visible,
        }
        for name, visible in shown.items()
    }
    bar = colour_bar(first.face, (-top, top), SIGNED_STOPS, "mm outward")
    beside = [bar, *worn[0].extras, *worn[1].extras]
    return Drawing([first.face, second.face], beside, views, "difference")


def spread(sitter: Sitter, apart: Float[np.ndarray, " v"]) -> Drawing:
    """A head coloured by how far other readings of it lie apart, in mm; the other view is skin."""
    top = largest(apart)
    worn = dressed(sitter)
    coloured = on_scale(apart / top, DISTANCE_STOPS, sculpted(sitter))
    extras = [None] * len(worn.extras)
    views = {
        "skin": {
            "vertexcolor": [packed(worn.head), None, *extras],
            "visible": [True, False, *[True] * len(extras)],
        },
        "spread": {
            "vertexcolor": [packed(coloured), None, *extras],
            "visible": [True, True, *[False] * len(extras)],
        },
    }
    bar = colour_bar(sitter.face, (0.0, top), DISTANCE_STOPS, "mm apart")
    return Drawing([sitter.face], [bar, *worn.extras], views, "spread")


def largest(distances: Float[np.ndarray, " v"]) -> float:
    """Upper end of a scale: the neck may go beyond it, the face does not.

    Whole millimetres, or the next half below two, or tenth below a half.
    """
    high = float(np.percentile(distances, 95))
    step = 1.0 if high > 2 else 0.5 if high > 0.5 else 0.1
    return max(step * float(np.ceil(high / step)), step)
