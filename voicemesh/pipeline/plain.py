"""Plain data, as reports hold it."""

from collections.abc import Mapping
from typing import Any


def rounded(value: Any, digits: int = 4) -> Any:
    """The same with all numbers cut to so many digits behind the point."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, Mapping):
        return {name: rounded(entry, digits) for name, entry in value.items()}
    return [rounded(entry, digits) for entry in value] if isinstance(value, list) else value
