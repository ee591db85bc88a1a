"""Hair: it grows where a style lets it, stays out of the face, and can be seen in a portrait."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from voicemesh.mesh import hair_styles
from voicemesh.mesh.bust import on_shoulders
from voicemesh.mesh.hair import grow
from voicemesh.mesh.hair_locks import COLUMNS, curled, evened
from voicemesh.mesh.hair_roots import SPACING, ground
from voicemesh.mesh.hair_styles import HairStyle
from voicemesh.mesh.look import Look
from voicemesh.mesh.packing import load
from voicemesh.mesh.render import Material, openness_of, portrait

HEAD = Path(__file__).parents[2] / "assets" / "bundle" / "head.safetensors"
CROP = HairStyle(top=12, sides=4, back=5, volume=0.2)
LONG = HairStyle(top=400, sides=110, back=60, parting=-0.3, sweep=0.4, curl=0.0)
BEARDED = replace(CROP, beard=18.0, moustache=7.0, cheeks=0.8)


@pytest.fixture(scope="module")
def model():
    return load(HEAD)


@pytest.fixture(scope="module")
def mesh(model):
    return model.mesh(torch.zeros(model.shape_basis.shape[2]))


@pytest.fixture(scope="module")
def grown(model, mesh):
    styles = {"crop": CROP, "long": LONG, "beard": BEARDED}
    return {name: grow(model, mesh, style, Look()) for name, style in styles.items()}


def locks(hair):
    """Vertices of the head's own hair."""
    return hair.vertices[: hair.scalp_vertices]


def test_roots_keep_their_distance(model):
    soil = ground(model)
    for name, roots in soil.roots.items():
        points = np.einsum("nk,nkd->nd", roots.weights, soil.neutral[roots.corners])
        nearest = cKDTree(points).query(points, 2)[0][:, 1]
        assert 0.75 * SPACING[name] < nearest.min() < nearest.max() < 2.5 * SPACING[name]
    assert ground(model) is soil


def test_hair_is_a_sound_mesh(grown):
    for hair in grown.values():
        count = len(hair.vertices)
        assert {len(getattr(hair, name)) for name in COLUMNS} == {count}
        assert 0 <= hair.triangles.min() and hair.triangles.max() == count - 1
        assert all(np.isfinite(getattr(hair, name)).all() for name in COLUMNS)
        np.testing.assert_allclose(np.linalg.norm(hair.normals, axis=1), 1, atol=1e-3)
        assert len(hair.triangles) < 45_000


def test_long_hair_hangs_and_a_crop_does_not(grown):
    assert locks(grown["crop"])[:, 1].min() > -85
    lowest = locks(grown["long"])[:, 1].min()
    assert -135 < lowest < -95  # the hem, a little uneven
    wide = np.abs(locks(grown["long"])[:, 0]).max()
    assert np.abs(locks(grown["crop"])[:, 0]).max() < wide < 125


def test_nothing_hangs_over_the_eyes(model, mesh, grown):
    fringe = grow(model, mesh, replace(LONG, sweep=-1.0), Look())
    for hair in (*grown.values(), fringe):
        x, y, z = locks(hair).T
        assert not ((np.abs(x) < 40) & (z > 75) & (np.abs(y) < 12)).any()
    x, y, z = locks(fringe).T
    assert ((np.abs(x) < 30) & (y < 60) & (z > 75)).any()  # but over the forehead
    x, y, z = locks(grown["long"]).T
    assert not ((np.abs(x) < 20) & (y < 50) & (z > 75)).any()


def test_hair_is_parted_on_the_side_that_is_asked_for(model, mesh):
    """Parted on the left, the middle falls to the right, and the other way round."""
    aside = []
    for parting in (-0.8, 0.8):
        hair = grow(model, mesh, replace(LONG, parting=parting, sweep=0.0), Look())
        x, y, _ = locks(hair).T
        middle = (np.abs(x) < 15) & (y > 100)
        aside.append(hair.tangents[: hair.scalp_vertices][middle, 0].mean())
    assert aside[1] < -0.2 < 0.2 < aside[0]


def test_volume_lifts(model, mesh):
    heights = [
        locks(grow(model, mesh, replace(LONG, volume=volume), Look()))[:, 1].max()
        for volume in (0.1, 0.9)
    ]
    assert heights[1] > heights[0] + 3


def test_hair_goes_with_the_years(model, mesh, grown):
    receding = grow(model, mesh, replace(CROP, recession=0.9), Look())
    wreath = grow(model, mesh, replace(CROP, balding=1.0), Look())
    full = locks(grown["crop"])
    assert len(locks(wreath)) < len(locks(receding)) < len(full)
    assert full[:, 1].max() > 110 and locks(wreath)[:, 1].max() < 80
    hairy, bare = ((hair.head_material == Material.HAIR).sum() for hair in (grown["crop"], wreath))
    assert 0 < bare < 0.7 * hairy
    material = ground(model).material
    others = material != Material.HAIR  # eyes and lips shine as before
    np.testing.assert_array_equal(wreath.head_material[others], material[others])
    top = mesh.vertices[:, 1] > 105
    skin, scalp = wreath.head_colours[top].mean(), grown["crop"].head_colours[top].mean()
    assert skin > scalp + 0.1


def test_beards_grow_on_chins_and_only_if_worn(grown):
    beard = grown["beard"].vertices[grown["beard"].scalp_vertices :]
    without = grown["crop"].vertices[grown["crop"].scalp_vertices :]
    assert without[:, 1].min() > 5  # brows
    assert beard[:, 1].min() < -115
    assert (np.abs(beard[:, 1] + 55) < 8).any()  # the moustache


def test_beard_and_moustache_are_worn_apart(model, mesh):
    found = []
    for style in (replace(CROP, beard=18.0), replace(CROP, moustache=7.0)):
        hair = grow(model, mesh, style, Look())
        x, y, z = hair.vertices[hair.scalp_vertices :].T
        lip = (np.abs(x) < 15) & (np.abs(y + 54) < 5) & (z > 85)
        found.append((bool(lip.any()), bool((y < -90).any())))
    assert found == [(False, True), (True, False)]


def test_goatees_leave_the_cheeks_bare(model, mesh, grown):
    goatee = grow(model, mesh, replace(BEARDED, cheeks=0.0), Look())
    below = goatee.vertices[goatee.vertices[:, 1] < 0]
    below = below[below[:, 2] > 40]
    assert np.abs(below[:, 0]).max() < 45
    assert np.abs(grown["beard"].vertices[:, 0]).max() > 60


def test_hair_follows_look_and_head(model, mesh, grown):
    silver = grow(model, mesh, CROP, Look(grey=1.0))
    blond = grow(model, mesh, CROP, Look(eumelanin=0.05))
    dark = grown["crop"].colours.mean()
    assert silver.colours.mean() > dark and blond.colours.mean() > dark
    large = replace(mesh, vertices=mesh.vertices * np.float32(1.1))
    assert locks(grow(model, large, CROP, Look()))[:, 1].max() > 1.07 * locks(silver)[:, 1].max()


def test_locks_are_kept_for_another_expression(model, mesh, grown):
    smile = torch.zeros(model.expression_basis.shape[2])
    smile[0] = 2.0
    moved = model.mesh(torch.zeros(model.shape_basis.shape[2]), smile)
    again = grow(model, moved, BEARDED, Look(), before=grown["beard"])
    np.testing.assert_array_equal(locks(again), locks(grown["beard"]))
    assert again.triangles.max() == len(again.vertices) - 1
    assert np.abs(again.vertices - grown["beard"].vertices).max() > 0.5  # the beard moved
    same = grow(model, mesh, BEARDED, Look(), before=grown["beard"])
    np.testing.assert_array_equal(same.vertices, grown["beard"].vertices)
    np.testing.assert_array_equal(same.triangles, grown["beard"].triangles)


def test_brows_have_a_thickness(model, mesh):
    thin, thick = (grow(model, mesh, replace(CROP, brows=b), Look()) for b in (0.5, 1.6))
    assert len(thick.vertices) > 1.5 * len(thin.vertices[thin.scalp_vertices :]) + len(locks(thin))
    brow = model.paint[:, model.paint_names.index("brows")] > 0.4
    assert thick.head_colours[brow].mean() < thin.head_colours[brow].mean() - 0.05


def test_everything_can_be_shaved(model, mesh):
    bare = grow(model, mesh, HairStyle(top=0, sides=0, back=0, balding=1.0, brows=0.5), Look())
    assert bare.scalp_vertices == 0
    picture = portrait(mesh, 24, hair=bare, openness=np.ones(len(mesh.vertices), np.float32))
    assert picture.shape == (24, 24, 3)


def test_unpainted_models_grow_nothing(model, mesh):
    bare = replace(model, paint=None, paint_names=())
    with pytest.raises(ValueError, match="no paint named scalp, beard, brows"):
        grow(bare, mesh)


def test_portraits_wear_hair(mesh, grown):
    opened = np.ones(len(mesh.vertices), np.float32)

    def taken(name, look=mesh):
        hair = grown.get(name)
        return portrait(look, 64, hair=hair, openness=opened, width=300.0).astype(int)

    long, crop = taken("long"), taken("crop")
    np.testing.assert_array_equal(long, taken("long"))
    changed = np.abs(long - crop).max(-1) > 30
    beside = np.abs(np.arange(64) - 31.5) > 16  # of the neck
    assert changed[50:58, beside].mean() > 0.1
    assert long[50, 12].mean() < 130 < crop[50, 12].mean()  # dark hair before a light wall
    assert np.abs(long - crop)[30:40, 26:38].mean() < 12  # the middle of the face stays


def test_hair_is_framed(mesh, grown):
    opened = np.ones(len(mesh.vertices), np.float32)
    tall = replace(grown["crop"], vertices=grown["crop"].vertices * np.float32([1, 1.3, 1]))
    picture = portrait(mesh, 48, hair=tall, openness=opened).astype(int)
    assert np.abs(np.diff(picture[0], axis=0)).max() < 12  # only wall above the hair


def test_evened_lines_keep_their_ends_and_length():
    line = np.array([[[0, 0, 0], [1, 0, 0], [9, 0, 0], [9, 0, 0], [9, 0, 0]]], float)
    share = np.linspace(0, 1, 5) ** 1.3
    np.testing.assert_allclose(evened(line, share)[0, [0, -1], 0], [0, 9], atol=1e-5)
    assert (np.diff(evened(line, share)[0, :, 0]) > 0.5).all()


def test_curls_wind_about_their_path():
    share = np.linspace(0, 1, 13)
    straight = np.zeros((1, 13, 3), np.float32)
    straight[0, :, 1] = -100 * share
    length, luck = np.array([100.0]), np.zeros((1, 6))
    wound = curled(straight, length, luck, 0.9, share)
    np.testing.assert_allclose(wound[0, 0], 0, atol=1e-5)
    off = np.linalg.norm((wound - straight)[0], axis=1)
    assert 2 < off[4:].min() and off.max() < 8
    np.testing.assert_array_equal(curled(straight, length, luck, 0.0, share), straight)


def test_ramps_run_both_ways():
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    np.testing.assert_allclose(hair_styles.ramp(0, 1, x), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(hair_styles.ramp(1, 0, x), [1, 1, 0.5, 0, 0])


def test_roots_are_asked_of_a_model_where_it_lies(model):
    with pytest.raises(NotImplementedError, match="out of meta"):  # and not: of two devices
        ground(model.to("meta"))


def test_populations_keep_their_pictures(model):
    """Nets were trained on these: what heads on screens wear must change nothing here."""
    mesh = model.mesh(torch.linspace(-1, 1, len(model.shape_mean)))
    style = HairStyle(top=300, sides=110, back=60, curl=0.3, beard=15, moustache=6)
    hair = grow(model, mesh, style, Look(grey=0.3))
    bust, openness, whole = on_shoulders(mesh, openness_of(mesh), hair, (0.4, 0.5, 0.6))
    assert whole.shade is None and whole.strips == () and len(hair.vertices) == 45974
    picture = portrait(bust, 128, 10, hair=whole, openness=openness).astype(float)
    tiles = picture.reshape(4, 32, 4, 32, 3).mean((1, 3))
    green = [
        [175.4, 149.3, 152.4, 175.4],
        [183.7, 118.9, 121.4, 183.7],
        [172.2, 148.4, 140.8, 171.6],
        [145.9, 144.0, 142.4, 144.7],
    ]
    np.testing.assert_allclose(tiles[:, :, 1], green, atol=0.3)
