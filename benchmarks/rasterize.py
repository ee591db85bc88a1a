"""How fast `rasterize` is beside PyTorch's own operators; only the figures of one run compare."""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from timing import fastest

sys.path.insert(0, str(Path(__file__).parents[1]))

from voicemesh.kernels.rasterize import EMPTY_DEPTH, rasterize
from voicemesh.kernels.rasterize_cpu import rasterize_cpu, warm_up
from voicemesh.mesh.lighting import light, vertex_normals
from voicemesh.mesh.render import draw, overlay


def sphere(rings: int, sectors: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A bumpy sphere that fills two thirds of the image: vertices in image space, triangles."""
    polar, azimuth = np.meshgrid(
        np.pi * (np.arange(rings) + 0.5) / rings,
        2 * np.pi * np.arange(sectors) / sectors,
        indexing="ij",
    )
    radius = 1 + 0.1 * np.sin(3 * polar) * np.cos(4 * azimuth)
    flat = radius * np.sin(polar)
    points = [flat * np.cos(azimuth), radius * np.cos(polar), flat * np.sin(azimuth)]
    vertices = np.stack(points, -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(sectors), indexing="ij")
    p, q = i * sectors + j, i * sectors + (j + 1) % sectors
    triangles = np.stack([p, q, p + sectors, q, q + sectors, p + sectors], -1).reshape(-1, 3)
    placed = vertices * [0.42, -0.42, 0.42] * size + [0.48 * size, 0.51 * size, 0]
    return placed.astype(np.float32), triangles.astype(np.int32)


def scattered(points: torch.Tensor, corners: torch.Tensor, size: int) -> torch.Tensor:
    """Depth by PyTorch: triangles test boxes as large as the largest needs, the nearest stays."""
    a, b, c = points[corners.long()].unbind(1)
    first = torch.minimum(a, torch.minimum(b, c))[:, :2].floor()
    box = int((torch.maximum(a, torch.maximum(b, c))[:, :2] - first).max()) + 1
    depth = points.new_full((size * size + 1,), EMPTY_DEPTH)
    e0, e1 = c - a, b - a
    inverse = 1 / (e0[:, 0] * e1[:, 1] - e0[:, 1] * e1[:, 0])
    for place in range(box * box):
        x, y = first[:, 0] + place % box, first[:, 1] + place // box
        u = ((x - a[:, 0]) * e1[:, 1] - (y - a[:, 1]) * e1[:, 0]) * inverse
        v = ((y - a[:, 1]) * e0[:, 0] - (x - a[:, 0]) * e0[:, 1]) * inverse
        z = (1 - u - v) * a[:, 2] + v * b[:, 2] + u * c[:, 2]
        inside = (u >= 0) & (v >= 0) & (u + v < 1) & (x >= 0) & (y >= 0) & (x < size) & (y < size)
        pixel = torch.where(inside, y * size + x, size * size).long()
        depth.scatter_reduce_(0, pixel, torch.where(inside, z, EMPTY_DEPTH), "amax")
    return depth[:-1].reshape(size, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=11)
    repeats = parser.parse_args().repeats
    warm_up()
    torch.set_num_threads(1)
    head = "".join(
        f" {name:>8}" for name in ("PyTorch", "1 band", "2 bands", "draw", "overlay", "light")
    )
    print(f"{'ms':>24}{head}  PyTorch over 1 band")
    for rings, sectors in ((169, 227), (127, 419)):
        for size in (120, 256, 1024):
            vertices, triangles = sphere(rings, sectors, size)
            points, corners = torch.from_numpy(vertices), torch.from_numpy(triangles)
            image, normals = (
                np.zeros((size, size, 3), np.uint8),
                vertex_normals(vertices, triangles),
            )
            colours = np.full(vertices.shape, 0.5, np.float32)
            runs = [
                lambda p=points, c=corners, s=size: scattered(p, c, s),
                lambda p=points, c=corners, s=size: rasterize_cpu(p, c, (s, s), 1),
                lambda p=points, c=corners, s=size: rasterize_cpu(p, c, (s, s), 2),
                lambda i=image, v=vertices, t=triangles, c=colours: draw(i, v, t, c),
                lambda i=image, v=vertices, t=triangles: overlay(i, v, t),
                lambda v=vertices, n=normals: light(v, n),
            ]
            times = [fastest(run, repeats) for run in runs]
            figures = "".join(f" {1e3 * seconds:8.1f}" for seconds in times)
            print(f"{len(vertices):>6} vertices, {size:>4} px {figures} {times[0] / times[1]:8.1f}")
    if torch.cuda.is_available():
        vertices, triangles = sphere(169, 227, 1024)
        points, corners = (torch.from_numpy(a).cuda() for a in (vertices, triangles))

        def run() -> None:
            rasterize(points, corners, (1024, 1024))
            torch.cuda.synchronize()

        print(f"{len(vertices):>6} vertices, 1024 px, GPU {1e3 * fastest(run, repeats):8.2f}")


if __name__ == "__main__":
    main()
