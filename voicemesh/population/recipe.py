"""How a population is made: how many people, how often and how loudly they speak."""

from dataclasses import asdict, dataclass
from typing import Any

from .streams import stream
from .tract import BLOCK, CONTROL_RATE
from .voices import draw_effort, draw_strong

RAISED = 6.0  # semitones of effort in the raised session


@dataclass(frozen=True)
class PopulationRecipe:
    """A synthetic population; the defaults make the one that the bundle is trained on."""

    identities: int = 2000  # to train on
    validation: int = 500  # further identities, never trained on
    sessions: int = 4  # per identity, each with its own text, day and effort
    channels: int = 4  # per session, besides a clean version
    seconds: float = 3.5
    coupling: float = 0.8  # of voices to bodies; 0 is the control population
    calm: float = 0.3  # share of the sessions without any vocal effort
    effort: float = 1.5  # of the others: mean in semitones, within [-2, 9]
    effort_spread: float = 2.5  # and deviation
    strong: float = 0.0  # share of the sessions with strong effort, of 2 to 14 semitones
    seed: int = 0
    workers: int = 2


def check(recipe: PopulationRecipe) -> None:
    """Refuse a recipe of which no population can be made.

    Raises:
        ValueError: says which value is wrong.
    """
    least = dict(identities=1, validation=1, sessions=1, channels=0, workers=1)
    for name, low in least.items():
        if getattr(recipe, name) < low:
            raise ValueError(f"{name} is {getattr(recipe, name)}; it must be at least {low}")
    if recipe.seconds < 1:
        raise ValueError(f"seconds is {recipe.seconds}; recordings last at least 1 s")
    if not 0 <= recipe.calm <= 1:
        raise ValueError(f"calm is {recipe.calm}; it is a share between 0 and 1")
    if not 0 <= recipe.strong <= 1:
        raise ValueError(f"strong is {recipe.strong}; it is a share between 0 and 1")
    if recipe.effort_spread < 0:
        raise ValueError(f"effort_spread is {recipe.effort_spread}; it must not be negative")
    if not 0 <= recipe.coupling <= 1.3:
        raise ValueError(f"coupling is {recipe.coupling}; it must be between 0 and 1.3")


def content_of(recipe: PopulationRecipe) -> dict[str, Any]:
    """What decides the bits of a population: all but the number of workers."""
    return {name: value for name, value in asdict(recipe).items() if name != "workers"}


def effort_of(
    recipe: PopulationRecipe, identity: int, session: int, mode: int
) -> tuple[float, bool]:
    """The vocal effort of a session of a person of this mode in semitones; is it strong?"""
    if session == recipe.sessions:
        return RAISED, False
    luck = stream(recipe.seed, "strong", identity, session)
    if luck.random() < recipe.strong:
        return draw_strong(luck, mode), True
    own = stream(recipe.seed, "effort", identity, session)
    return draw_effort(own, recipe.calm, recipe.effort, recipe.effort_spread), False


def samples_of(recipe: PopulationRecipe) -> int:
    """Samples of every recording."""
    return int(recipe.seconds * CONTROL_RATE) * BLOCK
