"""Where nets run."""

import torch


def chosen(name: torch.device | str | None = None) -> torch.device:
    """The device of this name; without one the first CUDA GPU if there is one, else the CPU.

    Args:
        name: cpu, cuda, cuda:1, mps and whatever else torch knows.

    Raises:
        ValueError: torch knows no such device, or this machine has none.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"The device {str(name)!r} cannot be used: {reason}; choose cpu, or a GPU of this"
            " machine"
        ) from error
    return device
