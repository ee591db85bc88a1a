"""One conformance case: a description, the arrays that the published code made, and its inputs."""

import re
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any

import numpy as np
from conformance.fill_rules import apply_fill
from conformance.hashed_weights import hashed_input, hashed_state_dict, read_case

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A case as read from its two files; everything that a run needs comes from here."""

    name: str
    description: dict[str, Any]
    arrays: Arrays

    @classmethod
    def read(cls, path: Path) -> "Case":
        """Read NAME.json, or NAME.WHICH.json, and the arrays of the same name beside it."""
        description, arrays = read_case(path)
        return cls(path.stem.split(".")[0], description, arrays)

    @property
    def tag(self) -> str:
        return self.description["tag"]

    @property
    def tolerance(self) -> float:
        return float(self.description["tolerance"])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the case."""
        return tuple(self.description["inputs"])

    def state(self, layout: str | None = None, prefix: str = "") -> Arrays:
        """The hashed state dict of the case's layout, or of one of its named layouts.

        `prefix` goes before each key where a case seeds two layouts apart.
        """
        described = self.description
        entries = described["layouts"][layout] if layout else described["layout"]
        hashed = hashed_state_dict(
            [(prefix + key, s, dtype) for key, s, dtype in entries], self.tag
        )
        filled = {key.removeprefix(prefix): value for key, value in hashed.items()}
        rules = described.get("fill", [])
        return apply_fill(filled, rules) if isinstance(rules, list) else filled

    def input(self, name: str) -> np.ndarray:
        """The hashed input of that name, before any construction that the case tells in words."""
        entry = self.description["inputs"][name]
        return hashed_input(self.tag, name, tuple(entry["shape"]), entry["kind"])

    def stored(self, name: str, whole: np.ndarray) -> np.ndarray:
        """The part of an output that the case stores, by the slices in its "subsample"."""
        rule = self.description.get("subsample", {}).get(name)
        if rule is None:
            return whole
        if isinstance(rule, dict):
            return whole[tuple(slice(None, None, step) for step in rule["axis_strides"])]
        found = re.search(r"\[([-\d:., ]+)\]", rule)
        if found is None:
            raise ValueError(f"{self.name}: no slices in the subsample rule {rule!r}")
        parts = tuple(slice_of(part) for part in found[1].split(","))
        return (whole.ravel() if "flattened" in rule else whole)[parts]

    def numbers(self, pattern: str) -> tuple[float, ...]:
        """Numbers that the case states in the words of its construction.

        `pattern` is literal but for `#`, which stands for one number.
        """
        told = ("construction", "keypoints", "notes")
        words = " ".join(str(self.description.get(key, "")) for key in told)
        number = r"([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
        found = re.search(re.escape(pattern).replace(re.escape("#"), number), words)
        if found is None:
            raise ValueError(f"{self.name}: nothing like {pattern!r} in {words!r}")
        return tuple(float(value) for value in found.groups())


def slice_of(text: str) -> slice | int | EllipsisType:
    """`a:b:c`, a single index, or `...` for the axes before."""
    if text.strip() == "...":
        return ...
    parts = [int(part) if part.strip() else None for part in text.split(":")]
    return slice(*parts) if len(parts) > 1 else parts[0]


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """|ours - theirs| / |theirs|; infinite where ours is not finite or only theirs is zero.

    What is no number in theirs has to be none in ours.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if not np.array_equal(absent := np.isnan(theirs), np.isnan(ours)):
        return float("inf")
    ours, theirs = np.where(absent, 0, ours), np.where(absent, 0, theirs)
    distance, size = np.linalg.norm(ours - theirs), np.linalg.norm(theirs)
    if not np.isfinite(distance):
        return float("inf")
    return float(distance / size) if size else float("inf" if distance else 0)


def compare(case: Case, produced: Arrays) -> None:
    """Fail with every array that is missing, misshapen or too far from the case's own."""
    faults = []
    for name, theirs in sorted(case.arrays.items()):
        if name not in produced:
            faults.append(f"{name}: not produced")
        elif np.shape(produced[name]) != theirs.shape:
            faults.append(f"{name}: shape {np.shape(produced[name])}, stored {theirs.shape}")
        elif (error := relative_error(produced[name], theirs)) > case.tolerance:
            faults.append(f"{name}: relative error {error:.2e} over {case.tolerance:.0e}")
    assert not faults, f"{case.name}: " + "; ".join(faults)
