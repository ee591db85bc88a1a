"""Whether Triton kernels run on the GPU of a tensor: found out once, by running one."""

import logging
import subprocess
import tempfile
from functools import lru_cache
from threading import Lock

import torch
from jaxtyping import Shaped
from torch import Tensor

log = logging.getLogger(__name__)
_once = Lock()


def launches(x: Shaped[Tensor, "..."]) -> bool:
    """Whether an operation on this tensor is a Triton kernel, and no PyTorch form of it."""
    if not x.is_cuda:
        return False
    with _once:
        return _runs(x.device)


@lru_cache(maxsize=16)
def _runs(device: torch.device) -> bool:
    """Run a kernel; say what is in the way if something is.

    Triton has no wheel for some systems, no code for old GPUs, and wants a C compiler with
    Python's headers when it first starts. Where nobody may write at home, it keeps what it
    compiles in a temporary folder.

    Raises:
        RuntimeError: a CUDA graph is being captured, in which nothing can be tried.
    """
    if _capturing():
        raise RuntimeError(
            "Whether Triton runs here is not known yet, and cannot be found out while a CUDA graph "
            "is captured: run the operation once before"
        )
    try:
        from triton import knobs
        from triton.errors import TritonError
    except ImportError as error:
        return _slower(device, error)
    errors = (RuntimeError, OSError, ImportError, subprocess.SubprocessError, TritonError)
    try:
        return _tried(device)
    except torch.OutOfMemoryError:
        raise  # says nothing of Triton, and may pass
    except PermissionError:
        knobs.cache.dir = tempfile.mkdtemp(prefix="voicemesh-triton-")
        try:
            return _tried(device)
        except errors as error:
            return _slower(device, error)
    except errors as error:
        return _slower(device, error)


def _capturing() -> bool:
    return torch.backends.cuda.is_built() and torch.cuda.is_current_stream_capturing()


def _tried(device: torch.device) -> bool:
    from .probe_triton import probe_triton

    x = torch.zeros(1, device=device)
    probe_triton(x)
    if float(x) != 1:
        raise RuntimeError("a kernel left a wrong number")
    return True


def _slower(device: torch.device, error: BaseException) -> bool:
    """One line of warning."""
    reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    log.warning("No Triton on %s, so plain PyTorch does its work, slower: %s", device, reason)
    return False
