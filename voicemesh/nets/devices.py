"""Where nets run."""

import logging
from functools import lru_cache

import torch

log = logging.getLogger(__name__)


def chosen(name: torch.device | str | None = None) -> torch.device:
    """The device of this name; without one the first CUDA GPU that works, else the CPU.

    Args:
        name: cpu, cuda, cuda:1, mps and whatever else torch knows.

    Raises:
        ValueError: torch knows no such device, or this machine has none that works.
    """
    if name is None:
        return _first()
    try:
        device = torch.device(name)
        _try(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"The device {str(name)!r} cannot be used: {_reason(error)}; choose cpu, or a GPU of"
            " this machine"
        ) from error
    return device


def knows_bfloat16(device: torch.device | str) -> bool:
    """Whether a device computes in bfloat16 itself; GPUs before Ampere only pretend to, slowly."""
    device = torch.device(device)
    if device.type != "cuda":
        return True
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


def halved(device: torch.device, wanted: bool = True) -> torch.autocast:
    """Convolutions and products inside in bfloat16, if that is wanted and the device knows it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and knows_bfloat16(device))


@lru_cache(maxsize=1)
def _first() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    try:
        _try(torch.device("cuda"))
    except RuntimeError as error:
        log.warning("The GPU cannot be used, so the CPU is: %s", _reason(error))
        return torch.device("cpu")
    return torch.device("cuda")


def _try(device: torch.device) -> None:
    """One sum there: a GPU too old for this torch, or one that others fill, shows only so."""
    if float(torch.ones(2, device=device).sum()) != 2:
        raise RuntimeError("it cannot add")


def _reason(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
