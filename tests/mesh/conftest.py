"""What the tests of meshes share."""

import pytest
import torch

from voicemesh.mesh.morphable import Measure, MorphableModel


@pytest.fixture
def model() -> MorphableModel:
    """A cloud of 90 points with random bases; every sixth channel of paint is used."""
    return MorphableModel(
        name="cloud",
        mean=torch.randn(90, 3) * 60,
        shape_basis=torch.randn(90, 3, 5),
        expression_basis=torch.randn(90, 3, 2),
        shape_mean=torch.randn(5),
        shape_deviation=torch.rand(5) + 0.5,
        expression_mean=torch.randn(2),
        expression_deviation=torch.rand(2) + 0.5,
        triangles=torch.randint(0, 90, (40, 3)),
        landmarks=torch.randint(0, 90, (68,)),
        measures={
            "width": Measure((3, 17), label="Width"),
            "ring": Measure((4, 8, 15, 16), closed=True),
            "arc": Measure((4, 8, 15, 16)),
        },
        paint=torch.rand(90, 2),
        paint_names=("lips", "melanin"),
        regions={"face": torch.tensor([1, 2, 3])},
    )
