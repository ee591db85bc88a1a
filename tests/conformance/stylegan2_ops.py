"""Adapters: the two operations that StyleGAN2 brought along."""

import numpy as np
import torch
from conformance.case import Arrays, Case

from voicemesh.kernels.bias_act import bias_act
from voicemesh.kernels.upfirdn2d import upfirdn2d


def tensor(case: Case, name: str) -> torch.Tensor:
    return torch.from_numpy(case.input(name))


def filter_of(case: Case, told: str, gain: float) -> torch.Tensor:
    """An input by its name, or an outer product of taps over a number, times the gain."""
    if told.startswith("input "):
        return gain * tensor(case, told.removeprefix("input "))
    taps, divisor = told.removeprefix("outer([").split("])/")
    taps = np.array([float(tap) for tap in taps.split(",")])
    return torch.from_numpy(np.outer(taps, taps) / float(divisor) * gain).float()


def resampled(case: Case) -> Arrays:
    produced = {}
    for entry in case.description["arguments"]["cases"]:
        name = entry["name"]
        x = tensor(case, f"{name}/x").requires_grad_()
        y = upfirdn2d(
            x,
            filter_of(case, entry["kernel"], entry.get("gain", 1.0)),
            tuple(entry["up_xy"]),
            tuple(entry["down_xy"]),
            tuple(entry["pad_x0_x1_y0_y1"]),
        )
        (back,) = torch.autograd.grad(y, x, tensor(case, f"{name}/cotangent"))
        produced |= {f"{name}/y": y.detach().numpy(), f"{name}/grad_x": back.numpy()}
    return produced


def activated(case: Case) -> Arrays:
    stated, produced = case.description["arguments"], {}
    for name in stated["cases"]:
        given = {
            key: tensor(case, f"{name}/{key}").requires_grad_()
            for key in ("x", "bias", "cotangent")
            if f"{name}/{key}" in case.inputs
        }
        y = bias_act(given["x"], given.get("bias"), stated["negative_slope"], stated["scale"])
        wanted = [key for key in ("x", "bias") if key in given]
        back = torch.autograd.grad(
            y, [given[key] for key in wanted], given["cotangent"], create_graph=True
        )
        tangents = [tensor(case, f"{name}/tangent_{key}") for key in wanted]
        (again,) = torch.autograd.grad(back, given["cotangent"], tangents)
        found = {"y": y, "grad_cotangent": again}
        found |= {f"grad_{key}": gradient for key, gradient in zip(wanted, back, strict=True)}
        produced |= {f"{name}/{key}": value.detach().numpy() for key, value in found.items()}
    return produced


ADAPTERS = {"upfirdn2d": resampled, "fused-leaky-relu": activated}
