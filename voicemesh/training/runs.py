"""What a run leaves behind: its recipe, its best net, its steps, and what a bundle says of it."""

import json
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file

from voicemesh.checkpoints.store import Tensors

from .loop import BEST, DONE, read_metrics

LICENCE = "MIT"  # of the nets trained here
Recipe = TypeVar("Recipe")  # a dataclass


def recipe_of(run: Path, kind: type[Recipe]) -> Recipe:
    """The recipe of a run that was validated; fields that `kind` no longer has are left out.

    Raises:
        ValueError: the folder holds no run, or one that has not been validated yet.
    """
    existing(run)
    written = json.loads((run / "recipe.json").read_text())["recipe"]
    known = {field.name for field in fields(kind)}
    return kind(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in written.items() if k in known}
    )


def best_of(run: Path, part: str = "") -> Tensors:
    """The tensors of a run's best net, or of one part of it by their names in that part.

    Raises:
        ValueError: the folder holds no run, or one that has not been validated yet.
    """
    prefix, tensors = f"{part}." if part else "", load_file(existing(run))
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def existing(run: Path) -> Path:
    """The file with a run's best net."""
    path = run / BEST
    if not path.exists():
        raise ValueError(f"{run} holds no {BEST}; train until the first validation")
    return path


def steps_of(run: Path) -> int:
    """How many steps a run has made."""
    return int(max(line["step"] for line in read_metrics(run / "metrics.jsonl")))


def finished(run: Path, steps: int) -> bool:
    """Whether a run came to its last step."""
    return (run / f"state-{steps}" / DONE).exists()


def origin(system: str, training: str) -> dict[str, str]:
    """What a part of a bundle says of where it comes from; `training` is on what, in words."""
    return {
        "source": f"trained by voicemesh, python -m voicemesh train {system}",
        "licence": LICENCE,
        "training": training,
    }
