"""Our own head, grown from formulas: no scan, no licence, no download."""

from voicemesh.mesh.morphable import MorphableModel

PEOPLE = 200  # enough for forty shape parameters


def grow(seed: int = 0, people: int = PEOPLE) -> MorphableModel:
    """Grow the morphable head, in a minute or two; its packed form is what bundles carry."""
    from .basis import learn

    return learn(seed, people)
