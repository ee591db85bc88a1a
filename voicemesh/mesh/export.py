"""A face as a file for other programs: OBJ, PLY or GLB by the ending of the name."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32

from .lighting import vertex_normals
from .morphable import FaceMesh

if TYPE_CHECKING:
    from trimesh import Trimesh

DIGITS = 4  # after the point in OBJ: a tenth of a micrometre
METRES = 1e-3  # in a millimetre
ROUGHNESS = 0.6  # of skin, as glTF counts it


def write(mesh: FaceMesh, path: str | Path) -> Path:
    """Write a face; returns the path.

    OBJ and PLY hold millimetres and sRGB colours, as mesh editors expect; GLB holds metres and
    linear colours, as its specification demands. The order of the vertices, outward triangles and
    normals are kept in all of them.

    Raises:
        ValueError: the ending is none of these, or a coordinate is not finite.
    """
    path = Path(path)
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise ValueError(f"{path.name} ends in none of {', '.join(WRITERS)}; choose one of these")
    if not np.isfinite(mesh.vertices).all():
        raise ValueError(f"{path.name} was not written: some coordinates are not finite numbers")
    path.write_bytes(writer(mesh))
    return path


def linear(colours: Float[np.ndarray, "*n 3"]) -> Float32[np.ndarray, "*n 3"]:
    """sRGB display values in [0, 1] as linear light in [0, 1]."""
    shown = np.clip(colours, 0, 1).astype(np.float32)
    curve = ((shown + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(shown <= 0.04045, shown / np.float32(12.92), curve)


def _obj(mesh: FaceMesh) -> bytes:
    # Written here: the general writer takes five times as long.
    normals = vertex_normals(mesh.vertices, mesh.triangles)
    positions = np.concatenate([mesh.vertices, np.clip(mesh.colours, 0, 1)], 1)
    corners = np.array([f"{i}//{i}" for i in range(1, len(positions) + 1)], object)
    return "".join(
        [
            "# A face by voicemesh, in millimetres; sRGB colours follow the positions.\n",
            _lines("v", positions),
            _lines("vn", normals),
            "f %s %s %s\n" * len(mesh.triangles) % tuple(corners[mesh.triangles].ravel().tolist()),
        ]
    ).encode()


def _lines(word: str, rows: Float[np.ndarray, "n k"]) -> str:
    pattern = f"{word} {' '.join([f'%.{DIGITS}f'] * rows.shape[1])}\n"
    return pattern * len(rows) % tuple(rows.ravel().tolist())


def _ply(mesh: FaceMesh) -> bytes:
    from trimesh.exchange.ply import export_ply

    return export_ply(_guest(mesh, vertex_colors=_bytes(mesh.colours)), vertex_normal=True)


def _glb(mesh: FaceMesh) -> bytes:
    from trimesh import PointCloud, Scene
    from trimesh.exchange.gltf import export_glb

    if not len(mesh.triangles):  # a face model whose triangles are another file, not given
        cloud = PointCloud(mesh.vertices * np.float32(METRES), _bytes(mesh.colours))
        return export_glb(Scene({"face": cloud}))
    guest = _guest(mesh, METRES, vertex_attributes={"_COLOUR": linear(mesh.colours)})

    def finish(tree: dict[str, Any]) -> None:
        # Bytes of linear light would band in dark hair: floats go in as an attribute of our own,
        # which gets its proper name here. Without a material, viewers take the face for metal.
        skin = {"metallicFactor": 0.0, "roughnessFactor": ROUGHNESS}
        tree["materials"] = [{"name": "face", "pbrMetallicRoughness": skin}]
        (primitive,) = tree["meshes"][0]["primitives"]
        primitive["attributes"]["COLOR_0"] = primitive["attributes"].pop("_COLOUR")
        primitive["material"] = 0

    return export_glb(
        Scene({"face": guest}),
        include_normals=True,
        unitize_normals=False,
        tree_postprocessor=finish,
    )


def _guest(mesh: FaceMesh, scale: float = 1.0, **extras: Any) -> "Trimesh":
    """The face as trimesh holds it, its vertices neither merged nor reordered."""
    from trimesh import Trimesh

    return Trimesh(
        vertices=mesh.vertices * np.float32(scale),
        faces=mesh.triangles,
        vertex_normals=vertex_normals(mesh.vertices, mesh.triangles),
        process=False,
        **extras,
    )


def _bytes(colours: Float[np.ndarray, "v 3"]) -> np.ndarray:
    return (np.clip(colours, 0, 1) * 255).round().astype(np.uint8)


WRITERS: dict[str, Callable[[FaceMesh], bytes]] = {".obj": _obj, ".ply": _ply, ".glb": _glb}
