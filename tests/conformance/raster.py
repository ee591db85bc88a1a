"""Adapter and comparison: a lit, bumpy sphere as Sim3DR draws it."""

import re

import numpy as np
from conformance.case import Arrays, Case, relative_error

from voicemesh.mesh import render
from voicemesh.mesh.lighting import Lighting, vertex_normals
from voicemesh.mesh.view import fragments_of

IMAGES = ("colour", "colour_reverse", "light", "textured_light")
FAR = -1000.0  # the case's depth where nothing was drawn


def sphere(
    rings: int, sectors: int, bump: float, a: float, b: float
) -> tuple[np.ndarray, np.ndarray]:
    """The case's mesh: float64 vertices about the origin, int32 triangles."""
    polar = np.pi * np.arange(1, rings) / rings
    azimuth = 2 * np.pi * np.arange(sectors) / sectors
    polar, azimuth = np.meshgrid(polar, azimuth, indexing="ij")
    radius = 1.0 + bump * np.sin(a * polar) * np.cos(b * azimuth)
    flat = radius * np.sin(polar)
    body = np.stack(
        [flat * np.cos(azimuth), radius * np.cos(polar), flat * np.sin(azimuth)], -1
    ).reshape(-1, 3)
    vertices = np.concatenate([[[0.0, 1.0, 0.0]], body, [[0.0, -1.0, 0.0]]])
    i, j = np.meshgrid(np.arange(rings - 2), np.arange(sectors), indexing="ij")
    p, q = 1 + i * sectors + j, 1 + i * sectors + (j + 1) % sectors
    j = np.arange(sectors)
    k, last, south = (j + 1) % sectors, 1 + (rings - 2) * sectors, len(vertices) - 1
    triangles = [
        np.stack([p, q, p + sectors], -1).reshape(-1, 3),
        np.stack([q, q + sectors, p + sectors], -1).reshape(-1, 3),
        np.stack([0 * j, 1 + k, 1 + j], -1),
        np.stack([last + j, last + k, 0 * j + south], -1),
    ]
    return vertices, np.concatenate(triangles)[:, [0, 2, 1]].astype(np.int32)


def place(vertices: np.ndarray, size: int, yaw: float) -> np.ndarray:
    """Image-space vertices of a turned mesh: x right, y down, z towards the viewer."""
    cosine, sine = np.cos(yaw), np.sin(yaw)
    x, y, z = vertices.T
    x, z = cosine * x + sine * z, -sine * x + cosine * z
    placed = [size * (0.47 + 0.41 * x), size * (0.52 - 0.43 * y), size * 0.42 * z]
    return np.stack(placed, -1).astype(np.float32)


def colours(vertices: np.ndarray) -> np.ndarray:
    waves = vertices * [3.0, 4.0, 5.0] + [1.0, 0.0, -1.0]
    return (0.5 + 0.5 * np.sin(waves)).astype(np.float32)


def background(size: int) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size]
    return np.stack([x % 256, y % 256, (x + 2 * y) % 256], -1).astype(np.uint8)


def published(arguments: dict) -> Lighting:
    """The lighting that a case names with the words of the published pipeline."""
    return Lighting(
        ambient=arguments["intensity_ambient"],
        directional=arguments["intensity_directional"],
        specular=arguments["intensity_specular"],
        exponent=arguments["specular_exp"],
        ambient_colour=tuple(arguments["color_ambient"]),
        directional_colour=tuple(arguments["color_directional"]),
        light=tuple(arguments["light_pos"]),
        viewer=tuple(arguments["view_pos"]),
    )


def rasterised(case: Case) -> Arrays:
    parameters = dict(case.description["parameters"])
    yaw = parameters.pop("yaw")
    sphere_vertices, triangles = sphere(**parameters)
    texture = colours(sphere_vertices)
    lighting = published(case.description["arguments"])
    produced = {}
    for name in case.arrays:
        kind, number = re.fullmatch(r"(\w+)_(\d+)", name).groups()
        size = int(number)
        vertices, image = place(sphere_vertices, size, yaw), background(size)
        if kind == "normals":
            whole = vertex_normals(vertices, triangles)
        elif kind == "depth":
            fragments = fragments_of(vertices, triangles, (size, size))
            whole = np.where(fragments.triangle < 0, np.float32(FAR), fragments.depth)
        elif kind in ("colour", "colour_reverse"):
            reverse = kind == "colour_reverse"
            whole = render.draw(image, vertices, triangles, texture, reverse=reverse)
        elif kind in ("light", "textured_light"):
            worn = texture if kind == "textured_light" else None
            whole = render.overlay(image, vertices, triangles, worn, lighting=lighting)
        else:
            raise ValueError(f"{case.name}: nothing is known of {name}")
        produced[name] = case.stored(name, whole)
    return produced


def compare_pictures(case: Case, produced: Arrays) -> None:
    """Bytes may differ by more than 1 in the stated share; depth and normals have tolerances."""
    tolerance = case.description["tolerance"]
    share = float(re.search(r"([\d.]+) %", tolerance["colour"])[1]) / 100
    most = int(re.search(r"more than (\d+)", tolerance["colour"])[1])
    faults = []
    for name, theirs in sorted(case.arrays.items()):
        ours, kind = produced[name], name.rsplit("_", 1)[0]
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            faults.append(f"{name}: {ours.dtype}{ours.shape}, stored {theirs.dtype}{theirs.shape}")
        elif kind in IMAGES:
            apart = np.abs(ours.astype(int) - theirs.astype(int)) > most
            if apart.mean() > share:
                faults.append(f"{name}: {apart.mean():.2%} of the bytes differ")
        elif (error := relative_error(ours, theirs)) > tolerance[kind]:
            faults.append(f"{name}: relative error {error:.2e}")
    for size, counts in case.description["counts"].items():
        covered = produced.get(f"depth_{size}")
        if covered is not None and f"depth_{size}" not in case.description["subsample"]:
            found = int((covered != FAR).sum())
            if abs(found - counts["covered_pixels"]) > share * counts["covered_pixels"]:
                faults.append(f"{size}: {found} pixels drawn, theirs {counts['covered_pixels']}")
    assert not faults, f"{case.name}: " + "; ".join(faults)


ADAPTERS = {"sim3dr-raster": rasterised}
CHECKS = {"sim3dr-raster": compare_pictures}
