"""Face photographs: read, find the face, crop, align, scale to what each net was trained on."""

from .faces import FoundFace, find_face
from .photograph import (
    ARCFACE_POINTS,
    CONVENTIONS,
    MIDDLE,
    SUFFIXES,
    Convention,
    Picture,
    UnusablePhotograph,
    align,
    bilinear,
    middle,
    prepare,
    read,
    scale,
    similarity,
    square,
)

__all__ = [
    "ARCFACE_POINTS",
    "CONVENTIONS",
    "MIDDLE",
    "SUFFIXES",
    "Convention",
    "FoundFace",
    "Picture",
    "UnusablePhotograph",
    "align",
    "bilinear",
    "find_face",
    "middle",
    "prepare",
    "read",
    "scale",
    "similarity",
    "square",
]
