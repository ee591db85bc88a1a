"""Heads on a screen: hair that is worn, light in the colours of vertices, both in a GLB."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree

from voicemesh.mesh import export
from voicemesh.mesh.developed import SOFT, developed
from voicemesh.mesh.hair import groomed
from voicemesh.mesh.hair_roots import ground
from voicemesh.mesh.hair_strips import woven
from voicemesh.mesh.hair_worn import BARE, CHESTNUT, STYLES, grows, wig, worn
from voicemesh.mesh.lighting import vertex_normals
from voicemesh.mesh.morphable import FaceMesh, MorphableModel
from voicemesh.mesh.packing import load
from voicemesh.mesh.render import materials, openness_of, portrait
from voicemesh.mesh.studio import Material
from voicemesh.mesh.view import framing, project

HEAD = Path(__file__).parents[2] / "assets" / "bundle" / "head.safetensors"


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load(HEAD)


@pytest.fixture(scope="module")
def mesh(model) -> FaceMesh:
    return model.mesh(torch.zeros(model.shape_basis.shape[2]))


@pytest.fixture(scope="module")
def hairs(model, mesh):
    return {name: worn(model, mesh, name) for name in STYLES}


def test_styles_differ_where_they_should(model, mesh, hairs):
    locks = {name: hair.vertices[: hair.scalp_vertices] for name, hair in hairs.items()}
    assert len(locks["none"]) == 0 and len(hairs["none"].vertices) > 100  # brows
    assert locks["short"][:, 1].min() > -75 and locks["long"][:, 1].min() < -95
    beside = np.abs(locks["long"][:, 0]) > 55  # over the ears
    assert (beside & (np.abs(locks["long"][:, 1] + 20) < 20)).sum() > 300
    for name in ("short", "long"):
        x, y, z = locks[name].T
        assert not ((np.abs(x) < 40) & (z > 85) & (y < 15)).any()  # not in the face
    crown = mesh.vertices[:, 1] > mesh.vertices[:, 1].max() - 10
    assert (
        hairs["none"].head_colours[crown].mean() > 1.5 * hairs["short"].head_colours[crown].mean()
    )
    with pytest.raises(ValueError, match="none, short, long"):
        worn(model, mesh, "blue")


def test_models_without_roots_wear_none(model, mesh):
    bare = replace(model, paint=None, paint_names=())
    assert grows(model) and not grows(bare) and worn(bare, mesh, "long") is None


def test_strips_are_sound_and_their_locks_apart(hairs):
    for hair in hairs.values():
        assert sum(np.prod(strip) for strip in hair.strips) == len(hair.vertices)
        np.testing.assert_array_equal(hair.triangles, woven(hair.strips))
        assert set(hair.triangles.ravel().tolist()) == set(range(len(hair.vertices)))
        a, b, c = (hair.vertices[hair.triangles[:, n]] for n in range(3))
        longest = max(np.linalg.norm(p - q, axis=1).max() for p, q in ((a, b), (b, c), (c, a)))
        assert longest < 90  # no triangle joins two locks
        np.testing.assert_allclose(np.linalg.norm(hair.normals, axis=1), 1, atol=1e-4)
        assert np.isfinite(hair.vertices).all() and hair.colours.min() > 0
    (locks, rows, columns), _ = hairs["long"].strips
    strands = hairs["long"].across[: locks * rows * columns].reshape(locks, rows, columns)
    assert (np.diff(strands, axis=2) > 1).all()  # each column is a strand of its own
    facing = hairs["long"].triangles[: hairs["long"].scalp_triangles]
    a, b, c = (hairs["long"].vertices[facing[:, n]] for n in range(3))
    outward = (np.cross(b - a, c - a) * hairs["long"].normals[facing[:, 0]]).sum(1)
    assert (outward > 0).mean() > 0.95


def test_hair_follows_the_head(model, hairs):
    skin, generator = ground(model).skin, torch.Generator().manual_seed(1)
    for _ in range(3):
        head = model.mesh(torch.randn(model.shape_mean.shape, generator=generator))
        normals = vertex_normals(head.vertices, head.triangles)[skin]
        tree = cKDTree(head.vertices[skin])
        for name in ("short", "long"):
            hair = worn(model, head, name)
            assert len(hair.vertices) == len(hairs[name].vertices)
            assert np.abs(hair.vertices - hairs[name].vertices).max() > 5
            locks = hair.vertices[: hair.scalp_vertices]
            near = tree.query(locks)[1]
            off = ((locks - head.vertices[skin][near]) * normals[near]).sum(1)
            assert np.percentile(off, 3) > -1.2 and np.median(off) > 2  # on the skin, not in it
    assert wig(model, "long") is wig(model, "long")


def test_strands_differ_and_shine_across(model, mesh, hairs):
    hair = hairs["long"]
    (locks, rows, columns), _ = hair.strips
    _, lit = developed(mesh, None, None, hair)
    light = (lit[: locks * rows * columns] @ [0.2, 0.7, 0.1]).reshape(locks, rows, columns)
    assert np.ptp(light, axis=2).mean() > 0.05  # dark and light strands side by side
    turned = replace(hair, tangents=np.roll(hair.normals, 1, 1))
    assert np.abs(developed(mesh, None, None, turned)[1] - lit).max() > 0.1
    assert light[:, -3:-1].mean() > light[:, 0].mean()  # roots lie in the shade


def test_hair_shades_the_head_and_blood_warms_it(model, mesh, hairs):
    long, none = hairs["long"], hairs["none"]
    material, marks = materials(model), mesh.vertices[model.landmarks]
    assert 0 <= long.shade.min() < 0.5 and long.shade.max() <= 1
    assert none.shade.mean() > 0.98  # brows alone
    _, y, z = mesh.vertices.T
    assert long.shade[(y < -70) & (z < -20)].mean() < 0.7 * none.shade.mean()  # the nape
    redness = none.head_colours[:, 0] / none.head_colours[:, 1]
    plain = groomed(model, ground(model), BARE, CHESTNUT)[0]
    before = plain[:, 0] / plain[:, 1]
    tip = np.linalg.norm(mesh.vertices - marks[30], axis=1) < 6
    brow = (y > 45) & (z > 70) & (material == Material.SKIN)
    assert (redness / before)[tip].mean() > 1.02 > 1.002 > (redness / before)[brow].mean()
    lips = material == Material.LIPS
    np.testing.assert_array_equal(none.head_colours[lips], plain[lips])


def test_light_is_that_of_the_portraits(model, mesh):
    openness, material = openness_of(mesh), materials(model)
    colours, locks = developed(mesh, material, openness)
    assert colours.shape == mesh.colours.shape and locks.shape == (0, 3)
    # A vertex of the forehead beside the same place on a portrait under the same lamps.
    picture = portrait(
        mesh, 256, material=material, openness=openness, studio=SOFT, fade=0.0
    ).astype(float)
    middle, width = framing(mesh)
    places = project(mesh.vertices - middle, SOFT.distance, width, 256)[:, :2].round().astype(int)
    x, y, z = mesh.vertices.T
    facing = vertex_normals(mesh.vertices, mesh.triangles)[:, 2] > 0.8
    shown = facing & (z > 70) & (np.abs(x) < 45) & (material == Material.SKIN)
    shown &= (y > -20) & (y < 55)
    seen = picture[places[shown, 1], places[shown, 0]]
    error = np.abs(255 * colours[shown] - seen).mean(1)
    assert np.median(error) < 10 and np.corrcoef(255 * colours[shown, 1], seen[:, 1])[0, 1] > 0.6


def test_folds_and_the_shadow_of_hair_darken(model, mesh, hairs):
    material = materials(model)
    sky = developed(mesh, material, np.ones(len(material), np.float32))[0]
    fold = developed(mesh, material, np.full(len(material), 0.1, np.float32))[0]
    skin = material == Material.SKIN
    assert fold[skin].mean() < 0.85 * sky[skin].mean()
    bare = developed(mesh, material, None, hairs["none"])[0]
    under = developed(mesh, material, None, hairs["long"])[0]
    x, y, z = mesh.vertices.T
    neck = (y < -70) & (np.abs(x) > 40) & (z < 20)
    darker = (bare - under)[neck].mean(1)
    assert (darker > 0.01).sum() > 100 and darker.max() > 0.04 and darker.min() > -0.02


def test_glb_holds_hair_as_a_second_mesh(mesh, hairs, tmp_path):
    path = export.write(mesh, tmp_path / "head.glb", hairs["long"])
    content = path.read_bytes()
    tree = json.loads(content[20 : 20 + struct.unpack("<I", content[12:16])[0]])
    counts = [
        tree["accessors"][one["primitives"][0]["attributes"]["COLOR_0"]]["count"]
        for one in tree["meshes"]
    ]
    assert sorted(counts) == sorted([len(mesh.vertices), len(hairs["long"].vertices)])
    of_hair = tree["meshes"][counts.index(len(hairs["long"].vertices))]["primitives"][0]
    assert tree["materials"][of_hair["material"]]["doubleSided"]
    assert tree["materials"][of_hair["material"]]["name"] == "hair"
    assert Path(export.write(mesh, tmp_path / "bare.glb")).stat().st_size < len(content)
    worn_by, hair = (trimesh.load_scene(path).geometry[name] for name in ("face", "hair"))
    for found, told in ((worn_by, mesh), (hair, hairs["long"])):  # both in metres
        np.testing.assert_allclose(1000 * found.vertices, told.vertices, atol=1e-2)
    linear = colours_in(content, tree, tree["meshes"][counts.index(len(mesh.vertices))])
    np.testing.assert_allclose(linear, export.linear(hairs["long"].head_colours), rtol=1e-5)


def colours_in(content, tree, kept):
    """Those of a mesh in a GLB, as floats."""
    accessor = tree["accessors"][kept["primitives"][0]["attributes"]["COLOR_0"]]
    start = 28 + struct.unpack("<I", content[12:16])[0]
    start += tree["bufferViews"][accessor["bufferView"]]["byteOffset"]
    return np.frombuffer(content, np.float32, 3 * accessor["count"], start).reshape(-1, 3)
