"""The tensors that a published Basel-style face model consists of, by chance."""

import torch

VERTICES = 53_000  # enough for the published landmarks


def face_tensors(vertices: int = VERTICES) -> dict[str, torch.Tensor]:
    return {
        "param_mean": torch.randn(102),
        "param_std": torch.rand(102) + 0.5,
        "u": torch.randn(3 * vertices, 1) * 80_000,
        "w_shp": torch.randn(3 * vertices, 40),
        "w_exp": torch.randn(3 * vertices, 10),
    }
