"""Recipes changed by `name=value` pairs, each read as its field's type."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Recipe = TypeVar("Recipe")


def overridden(recipe: Recipe, pairs: Sequence[str]) -> Recipe:
    """The recipe with `name=value` pairs applied, each read as its field's type.

    >>> from voicemesh.population.recipe import PopulationRecipe
    >>> overridden(PopulationRecipe(), ["identities=20", "calm=0.5"]).identities
    20

    Raises:
        ValueError: no such name (the message lists all), or a value of another type.
    """
    hints = get_type_hints(type(recipe))
    kinds = {entry.name: hints[entry.name] for entry in fields(recipe)}
    changes = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"{pair!r} is not of the form name=value")
        if name not in kinds:
            raise ValueError(f"{type(recipe).__name__} has no {name!r}; it has {', '.join(kinds)}")
        try:
            changes[name] = converted(text, kinds[name])
        except ValueError as error:
            kind = getattr(kinds[name], "__name__", str(kinds[name]))
            raise ValueError(f"{name} is of type {kind}; {text!r} is not: {error}") from error
    return replace(recipe, **changes)


def converted(text: str, kind: Any) -> Any:
    """Text as a bool, a number, a string, or a tuple of them separated by commas."""
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return tuple(converted(part, inner) for part in text.strip("()").split(",") if part)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("write true or false")
        return text.lower() == "true"
    return kind(text)
