"""Pictures of people: their heads in their own looks, in random poses and expressions."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from voicemesh.mesh.look import Look
from voicemesh.mesh.morphable import MorphableModel

from .law import People
from .streams import stream

TURN, NOD = 35.0, 12.0  # degrees, largest
EXPRESSION = 0.7  # standard deviations of a random expression


def look_of(people: People, person: int) -> Look:
    """Skin, eyes and hair of a person."""
    names = ("melanin", "blood", "iris_melanin", "eumelanin", "pheomelanin", "grey")
    return Look(*(float(people.column(name)[person]) for name in names))


def portraits(
    people: People,
    person: int,
    face_model: MorphableModel,
    shape_params: Float[Tensor, " s"],
    count: int = 4,
    size: int = 224,
    seed: int = 0,
) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """`count` pictures of a person; the first looks straight ahead at rest."""
    from voicemesh.mesh.render import openness_of, portrait

    openness = None
    for picture in range(count):
        luck = stream(seed, "portrait", person, picture)
        moving = float(picture > 0)
        drawn = luck.standard_normal(face_model.expression_basis.shape[2])
        expression = torch.from_numpy(moving * EXPRESSION * drawn).float()
        mesh = face_model.mesh(shape_params, expression, look_of(people, person))
        openness = openness_of(mesh) if openness is None else openness
        yaw, pitch = moving * luck.uniform(-TURN, TURN), moving * luck.uniform(-NOD, NOD)
        yield portrait(mesh, size, yaw, pitch, openness=openness)
