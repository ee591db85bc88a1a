"""Names of points and lengths."""

from voicemesh.mesh.landmarks import (
    BASEL_LANDMARKS,
    BASEL_PAIRS,
    BASEL_VERTICES,
    LANDMARK_NAMES,
    LENGTHS,
    MENTON,
    RATIO_LENGTHS,
    RATIOS,
    RIGHT_CHEILION,
    SUBNASALE,
)


def test_the_68_points_are_named_once():
    assert len(LANDMARK_NAMES) == len(set(LANDMARK_NAMES)) == 68
    assert LANDMARK_NAMES[MENTON] == "jaw_8"
    assert LANDMARK_NAMES[SUBNASALE] == "nose_base_2"
    assert LANDMARK_NAMES[RIGHT_CHEILION] == "outer_lips_0"


def test_lengths_are_named_once():
    assert len(LENGTHS) == 18
    assert not set(LENGTHS) & set(RATIO_LENGTHS)
    assert RATIOS == ("fore", "cheek", "ear", "mid")


def test_published_vertices_lie_on_the_mesh():
    assert len(set(BASEL_LANDMARKS)) == 68
    assert set(BASEL_PAIRS) == set(RATIO_LENGTHS)
    ids = [*BASEL_LANDMARKS, *(v for pair in BASEL_PAIRS.values() for v in pair)]
    assert 0 <= min(ids) and max(ids) < BASEL_VERTICES
