import json
import struct

import numpy as np
import pytest
import trimesh

from voicemesh.mesh import export
from voicemesh.mesh.morphable import FaceMesh

# The largest distance that the format keeps, in millimetres, and the units of one millimetre.
FORMATS = {".obj": (1e-4, 1.0), ".ply": (1e-5, 1.0), ".glb": (1e-5, 1e-3)}

# The reader of OBJ guesses colours of faces that it does not have.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:trimesh")


@pytest.fixture
def face(rng) -> FaceMesh:
    sphere = trimesh.creation.icosphere(2, 90.0)
    vertices = sphere.vertices * [0.8, 1.2, 1] + rng.normal(0, 0.3, sphere.vertices.shape)
    # A vertex that no triangle uses and a doubled one: neither may vanish.
    vertices = np.concatenate([[vertices[0]], vertices, [[1, 2, 3]]]).astype(np.float32)
    return FaceMesh(
        vertices=vertices,
        triangles=(sphere.faces + 1).astype(np.int32),
        colours=rng.random(vertices.shape).astype(np.float32),
        landmarks=np.arange(68),
    )


def read(path):
    return trimesh.load_mesh(path, process=False, maintain_order=True)


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_read_is_what_was_written(face, tmp_path, suffix):
    precision, unit = FORMATS[suffix]
    path = export.write(face, tmp_path / f"face{suffix}")
    found = read(path)
    count = len(found.vertices)
    # The reader, not the file, drops an unused vertex at the end of an OBJ.
    assert count == len(face.vertices) - (suffix == ".obj")
    np.testing.assert_allclose(found.vertices / unit, face.vertices[:count], atol=precision)
    np.testing.assert_array_equal(found.faces, face.triangles)
    if suffix != ".glb":  # the reader drops its colours: next test
        colours = found.visual.vertex_colors[:, :3] / 255
        np.testing.assert_allclose(colours, face.colours[:count], atol=0.51 / 255)


@pytest.mark.parametrize("suffix", FORMATS)
def test_triangles_and_normals_point_outward(face, tmp_path, suffix):
    found = read(export.write(face, tmp_path / f"face{suffix}"))
    assert found.volume > 0
    used = np.unique(face.triangles)
    assert ((found.vertex_normals * found.vertices).sum(1)[used] > 0).all()


def test_a_face_without_triangles_is_a_cloud(face, tmp_path):
    cloud = FaceMesh(face.vertices, face.triangles[:0], face.colours, face.landmarks)
    for suffix, (precision, unit) in FORMATS.items():
        path = export.write(cloud, tmp_path / f"cloud{suffix}")
        if suffix == ".glb":  # a scene of points
            (found,) = trimesh.load_scene(path).geometry.values()
            np.testing.assert_allclose(found.vertices / unit, face.vertices, atol=precision)
        else:
            assert path.stat().st_size > 1000


def glb_colours(path):
    """The only primitive of a GLB file, its materials, and its colours, by the specification."""
    data = path.read_bytes()
    magic, version, total, length = struct.unpack_from("<4sIII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    tree = json.loads(data[20 : 20 + length])
    (primitive,) = tree["meshes"][0]["primitives"]
    accessor = tree["accessors"][primitive["attributes"]["COLOR_0"]]
    assert (accessor["type"], accessor["componentType"]) == ("VEC3", 5126)
    start = 28 + length + tree["bufferViews"][accessor["bufferView"]]["byteOffset"]
    colours = np.frombuffer(data, np.float32, accessor["count"] * 3, start)
    return primitive, tree["materials"], colours.reshape(-1, 3)


def test_glb_holds_linear_colours_and_a_material_that_is_no_metal(face, tmp_path):
    primitive, materials, colours = glb_colours(export.write(face, tmp_path / "face.glb"))
    np.testing.assert_allclose(colours, export.linear(face.colours), rtol=1e-6)
    assert materials[primitive["material"]]["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "COLOR_0"}


def test_obj_is_text_that_names_its_units(face, tmp_path):
    text = export.write(face, tmp_path / "face.obj").read_text()
    assert "millimetres" in text.splitlines()[0]
    first = next(line for line in text.splitlines() if line.startswith("v "))
    assert len(first.split()) == 7  # v x y z r g b
    assert text.count("\nv ") == len(face.vertices)


def test_linear_is_the_standard_curve():
    shown = np.float32([[0.0, 0.04045, 0.5], [1.0, 2.0, -1.0]])
    wanted = [[0, 0.04045 / 12.92, 0.21404114], [1, 1, 0]]
    np.testing.assert_allclose(export.linear(shown), wanted, rtol=1e-5)


def test_the_ending_may_be_upper_case(face, tmp_path):
    assert read(export.write(face, tmp_path / "face.PLY")).vertices.shape == face.vertices.shape


def test_refuses_unknown_endings_and_broken_coordinates(face, tmp_path):
    with pytest.raises(ValueError, match=r"face\.stl ends in none of \.obj, \.ply, \.glb"):
        export.write(face, tmp_path / "face.stl")
    face.vertices[3, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        export.write(face, tmp_path / "face.ply")
    assert not list(tmp_path.iterdir())
