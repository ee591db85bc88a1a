"""A face as a file for other programs: OBJ, PLY or GLB by the ending of the name."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32

from .hair import Hair
from .lighting import vertex_normals
from .morphable import FaceMesh

if TYPE_CHECKING:
    from trimesh import Trimesh

DIGITS = 4  # after the point in OBJ: a tenth of a micrometre
METRES = 1e-3  # in a millimetre
ROUGHNESS = {"face": 0.6, "hair": 0.7}  # as glTF counts it


def write(mesh: FaceMesh, path: str | Path, hair: Hair | None = None) -> Path:
    """Write a face; returns the path. GLB holds its hair as well, as a mesh of its own.

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
    path.write_bytes(writer(mesh, hair))
    return path


def linear(colours: Float[np.ndarray, "*n 3"]) -> Float32[np.ndarray, "*n 3"]:
    """sRGB display values in [0, 1] as linear light in [0, 1]."""
    shown = np.clip(colours, 0, 1).astype(np.float32)
    curve = ((shown + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(shown <= 0.04045, shown / np.float32(12.92), curve)


def _obj(mesh: FaceMesh, hair: Hair | None = None) -> bytes:
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


def _ply(mesh: FaceMesh, hair: Hair | None = None) -> bytes:
    from trimesh.exchange.ply import export_ply

    return export_ply(_guest(mesh, vertex_colors=_bytes(mesh.colours)), vertex_normal=True)


def _glb(mesh: FaceMesh, hair: Hair | None = None) -> bytes:
    from trimesh import PointCloud, Scene
    from trimesh.exchange.gltf import export_glb

    if not len(mesh.triangles):  # a face model whose triangles are another file, not given
        cloud = PointCloud(mesh.vertices * np.float32(METRES), _bytes(mesh.colours))
        return export_glb(Scene({"face": cloud}))
    skin = mesh.colours if hair is None else hair.head_colours
    guests = {"face": _guest(mesh, METRES, vertex_attributes={"_COLOUR": linear(skin)})}
    if hair is not None and len(hair.triangles):
        guests["hair"] = _locks(hair)

    def finish(tree: dict[str, Any]) -> None:
        # Bytes of linear light would band in dark hair: floats go in as an attribute of our own,
        # which gets its proper name here. Without a material, viewers take the face for metal.
        tree["materials"] = [
            {
                "name": name,
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": ROUGHNESS[name]},
                "doubleSided": name == "hair",  # ribbons have no inside
            }
            for name in guests
        ]
        for number, kept in enumerate(tree["meshes"]):
            (primitive,) = kept["primitives"]
            primitive["attributes"]["COLOR_0"] = primitive["attributes"].pop("_COLOUR")
            primitive["material"] = number

    return export_glb(
        Scene(guests),
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


def _locks(hair: Hair) -> "Trimesh":
    """The ribbons of hair, rounded by their normals; what lies deep is darker."""
    from trimesh import Trimesh

    deep = (0.35 + 0.65 * hair.openness)[:, None]
    return Trimesh(
        vertices=hair.vertices * np.float32(METRES),
        faces=hair.triangles,
        vertex_normals=hair.normals,
        vertex_attributes={"_COLOUR": (hair.colours * deep).astype(np.float32)},
        process=False,
    )


def _bytes(colours: Float[np.ndarray, "v 3"]) -> np.ndarray:
    return (np.clip(colours, 0, 1) * 255).round().astype(np.uint8)


Writer = Callable[[FaceMesh, Hair | None], bytes]
WRITERS: dict[str, Writer] = {
    ".obj": _obj,
    ".ply": _ply,
    ".glb": _glb,
}
