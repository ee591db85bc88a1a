"""What the page tells of SF2F: the fused face, its moments, and nothing without a net for it."""

import numpy as np
import pytest

from voicemesh.page.fused import fused, in_one_piece
from voicemesh.pipeline import Portrait
from voicemesh.systems.sf2f import Spoken


def spoken(fused_: bool) -> Spoken:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    attention = np.array([0.8, 1.0, 1.2])
    return Spoken(pixels[0], pixels[1:], np.array([0.0, 0.63, 1.26]), attention, np.ones(2), fused_)


def portrait(spoken_: Spoken | None) -> Portrait:
    """All that this part of the page reads of a portrait."""
    told = object.__new__(Portrait)
    object.__setattr__(told, "spoken", spoken_)
    object.__setattr__(told, "in_one_piece", None)
    return told


@pytest.mark.parametrize(("is_fused", "heading"), [(True, "fused"), (False, "voice as a whole")])
def test_every_moment_has_its_face_and_its_time(is_fused, heading):
    told = fused(portrait(spoken(is_fused)))
    assert told.count("<img") == 4 and heading in told.split("</h2>")[0]
    assert "<b>0.6 s</b>" in told and "<b>1.3 s</b>" in told
    assert ("&times; 1.20" in told) == is_fused


def test_an_image_of_the_voice_in_one_piece():
    told = portrait(None)
    object.__setattr__(told, "in_one_piece", np.zeros((8, 8, 3), np.uint8))
    assert in_one_piece(told).count("<img") == 1 and "voice2face" in in_one_piece(told)


def test_nothing_is_told_without_an_image():
    assert fused(portrait(None)) == "" == in_one_piece(portrait(None))
