"""Sex and face type by the nearest reference mesh."""

from functools import partial

import pytest
import torch

from voicemesh.mesh import face_types
from voicemesh.mesh.face_types import FACE_TYPES, SEXES, References
from voicemesh.mesh.landmarks import RATIO_LENGTHS
from voicemesh.mesh.metrics import pair_lengths
from voicemesh.mesh.morphable import MorphableModel

PAIRS = {name: (2 * i, 2 * i + 1) for i, name in enumerate(RATIO_LENGTHS)}
LENGTHS = partial(pair_lengths, pairs=PAIRS)


def references(**changes) -> References:
    base = torch.randn(10, 3, generator=torch.Generator().manual_seed(3))
    meshes = {name: base + 10 * i for i, name in enumerate((*SEXES, *FACE_TYPES))}
    return References({**meshes, **changes})


def test_distance_is_over_the_number_of_vertices():
    vertices, reference = torch.zeros(2, 9, 3), torch.ones(9, 3)
    expected = torch.full((2,), 27**0.5 / 9)
    torch.testing.assert_close(face_types.mesh_distance(vertices, reference), expected)


@pytest.mark.parametrize("sex", SEXES)
@pytest.mark.parametrize("face_type", FACE_TYPES)
def test_the_nearest_wins(sex, face_type):
    known = references()
    vertices = known.meshes[face_type] + 0.01
    known = references(**{sex: vertices + 0.5})
    verdict = face_types.judge(vertices, known, LENGTHS)
    assert (verdict.sex, verdict.face_type) == (sex, face_type)
    assert verdict.distances[face_type] == min(verdict.distances.values())


def test_ties_go_to_women_and_to_the_first_type():
    vertices = torch.zeros(10, 3)
    grid = torch.arange(30.0).reshape(10, 3)
    known = References({name: grid for name in (*SEXES, *FACE_TYPES)})
    verdict = face_types.judge(vertices, known, LENGTHS)
    assert (verdict.sex, verdict.face_type) == ("female", "wide")


def test_lengths_are_compared_with_the_mean_of_the_sex():
    known = references()
    vertices = known.meshes["male"] * 1.25
    known = references(female=known.meshes["female"] + 100)
    verdict = face_types.judge(vertices, known, LENGTHS)
    assert list(verdict.differences) == ["fore", "cheek", "ear", "mid"]
    assert list(verdict.differences.values()) == pytest.approx([0.25] * 4, abs=1e-4)


def test_references_are_resting_faces_of_a_model():
    model = MorphableModel(
        name="points",
        mean=torch.randn(70, 3),
        shape_basis=torch.randn(70, 3, 2),
        expression_basis=torch.randn(70, 3, 1),
        shape_mean=torch.randn(2),
        shape_deviation=torch.ones(2),
        expression_mean=torch.zeros(1),
        expression_deviation=torch.ones(1),
        triangles=torch.zeros(0, 3, dtype=torch.int64),
        landmarks=torch.arange(68),
    )
    params = {name: torch.randn(2) for name in (*SEXES, *FACE_TYPES)}
    known = References.of(model, params)
    torch.testing.assert_close(known.meshes["slim"], model.vertices(params["slim"]))


def test_missing_references_are_named():
    with pytest.raises(ValueError, match="No reference mesh for female, regular"):
        References({n: torch.zeros(3, 3) for n in ("male", "wide", "skinny", "slim")})


def test_types_follow_the_width_of_faces():
    width, noise = torch.randn(4000), torch.randn(4000, 3)
    params = torch.stack([2 * width, -width, torch.zeros(4000)], 1) + 0.5 * noise + 3
    types = face_types.type_params(params, 0.9 + 0.05 * width)
    along = [float(types[name][0]) for name in ("wide", "regular", "slim", "skinny")]
    # Means of the quarters of a normal: +-1.271 and +-.325 deviations.
    assert along == pytest.approx([3 + 2 * z for z in (1.271, 0.325, -0.325, -1.271)], abs=0.15)
    assert float(types["wide"][1]) < float(types["skinny"][1])
    narrow = face_types.type_params(params, 0.9 + 0.05 * width, (0.1, 0.4, 0.4, 0.1))
    assert float(narrow["wide"][0]) > along[0]


@pytest.mark.parametrize(
    "shares", [(0.5, 0.5), (0.3, 0.3, 0.3, 0.3), (0.999, 0.0004, 0.0003, 0.0003)]
)
def test_shares_must_make_four_types(shares):
    with pytest.raises(ValueError, match=r"shares|too few"):
        face_types.type_params(torch.randn(50, 2), torch.randn(50), shares)
