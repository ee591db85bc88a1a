"""Our own head, grown from formulas: no scan, no licence, no download."""

from voicemesh.mesh.morphable import MorphableModel


def grow(seed: int = 0, people: int = 240) -> MorphableModel:
    """Grow the morphable head; takes minutes. The packed result ships in `assets/bundle`."""
    from .basis import learn

    return learn(seed, people)
