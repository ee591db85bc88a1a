"""The face on a photograph: found, turned upright, cropped as the portraits are framed.

Boosted cascades (Viola and Jones, 2001), which OpenCV's wheel carries with it: nothing is fetched.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from .photograph import Picture, UnusablePhotograph, align

if TYPE_CHECKING:
    from cv2 import CascadeClassifier

FACE, EYE = "haarcascade_frontalface_alt2", "haarcascade_eye_tree_eyeglasses"
EYES = ((0.38, 0.474), (0.62, 0.474))  # where they lie in a portrait, in shares of its side
BOX_EYES = ((0.30, 0.42), (0.70, 0.42))  # where they usually lie in the box of a found face
SIDE = 256  # pixels of the crop
LOOKED_AT = (400, 720)  # pixels of the longer side between which faces are looked for
EDGE = 0.2  # of the picture, added around it: a face may fill all of it
SMALLEST_SHARE = 0.06  # of the looked-at picture
SMALLEST = 48  # pixels of a face's width on the photograph
AGREEING = 4  # detections of one face on neighbouring places
BESIDE = 0.35  # of the largest face's width: smaller ones are false alarms or far behind
EYE_WIDTH = 220  # pixels of the face box in which eyes are looked for
NEAR = 0.16  # of the box: an eye this far from where it usually lies is none
ROLL = 30.0  # degrees, the most by which a head is taken to lean


@dataclass(frozen=True, eq=False)
class FoundFace:
    """The largest face of a photograph."""

    crop: UInt8[np.ndarray, "side side 3"]
    eyes: Float[np.ndarray, "2 2"]  # x, y on the photograph; the one further left comes first
    width: float  # of the face, in pixels of the photograph
    count: int  # faces on the photograph
    notes: tuple[str, ...] = ()


def find_face(picture: Picture, name: str = "The photograph", side: int = SIDE) -> FoundFace:
    """The largest face, cropped so that its eyes lie where those of a portrait do.

    Raises:
        UnusablePhotograph: there is no face, or it is too small.
    """
    grey, scale, edge = looked_at(picture)
    boxes = faces_on(grey)
    if not len(boxes):
        raise UnusablePhotograph(
            f"No face was found on {said(name)}: it should look into the camera, upright, evenly"
            " lit and not covered."
        )
    largest = boxes[boxes[:, 2].argmax()]
    width = float(largest[2]) / scale
    if width < SMALLEST:
        raise UnusablePhotograph(
            f"The face on {said(name)} is only {width:.0f} pixels wide; {SMALLEST} are needed. Come"
            " closer, or take a larger photograph."
        )
    eyes, seen = eyes_of(grey, largest)
    eyes = (eyes - edge) / scale
    count = int((boxes[:, 2] >= BESIDE * largest[2]).sum())
    notes = []
    if count > 1:
        notes.append(f"{count} faces were found; the largest one was taken.")
    if not seen:
        notes.append("The eyes were not found for certain: the crop is a rough one.")
    crop = align(picture, eyes, side * np.array(EYES), side)
    return FoundFace(crop, eyes, width, count, tuple(notes))


def said(name: str) -> str:
    """A name in the middle of a sentence."""
    return name[0].lower() + name[1:] if name.startswith("The ") else name


def looked_at(picture: Picture) -> tuple[UInt8[np.ndarray, "height width"], float, float]:
    """The photograph in grey, of a middling size with an edge around it; its scale, the edge."""
    import cv2

    longest = max(picture.shape[:2])
    scale = min(max(longest, LOOKED_AT[0]), LOOKED_AT[1]) / longest
    size = tuple(max(1, round(scale * side)) for side in picture.shape[1::-1])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), size, interpolation=way)
    edge = round(EDGE * max(size))
    grey = cv2.copyMakeBorder(grey, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    return grey, scale, float(edge)


def faces_on(grey: UInt8[np.ndarray, "height width"]) -> Float[np.ndarray, "faces 4"]:
    """Boxes: left, top, width, height."""
    least = max(24, round(SMALLEST_SHARE * max(grey.shape)))
    found = cascade(FACE).detectMultiScale(grey, 1.1, AGREEING, minSize=(least, least))
    return np.array(found, np.float64).reshape(-1, 4)


def eyes_of(
    grey: UInt8[np.ndarray, "height width"], box: Float[np.ndarray, "4"]
) -> tuple[Float[np.ndarray, "2 2"], bool]:
    """Middles of both eyes, and whether they were seen or stand where eyes usually are."""
    import cv2

    left, top, width, height = box
    usual = np.array([[left + x * width, top + y * height] for x, y in BOX_EYES])
    upper = grey[int(top) : int(top + 0.65 * height), int(left) : int(left + width)]
    zoom = EYE_WIDTH / width
    upper = cv2.resize(upper, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    found = cascade(EYE).detectMultiScale(upper, 1.05, 3, minSize=(32, 32), maxSize=(90, 90))
    places = np.array([[x + w / 2, y + h / 2] for x, y, w, h in found]).reshape(-1, 2)
    places = places / zoom + (int(left), int(top))
    chosen = []
    for place in usual:
        away = np.hypot(*(places - place).T)
        if not len(away) or away.min() > NEAR * width:
            return usual, False
        chosen.append(places[away.argmin()])
    eyes = np.array(chosen)
    across, down = eyes[1] - eyes[0]
    upright = across > 0 and abs(np.degrees(np.arctan2(down, across))) < ROLL
    return (eyes, True) if upright else (usual, False)


@cache
def cascade(name: str) -> "CascadeClassifier":
    """One of OpenCV's own cascades."""
    import cv2

    return cv2.CascadeClassifier(f"{cv2.data.haarcascades}{name}.xml")
