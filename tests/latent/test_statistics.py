import pytest
import torch

from voicemesh.latent.statistics import Statistics, bent, straightened
from voicemesh.nets.stylegan2 import Generator


@pytest.fixture
def statistics() -> Statistics:
    return Statistics.of(bent(torch.randn(500, 6) @ torch.randn(6, 6) + 1))


def test_bending_is_undone():
    x = torch.randn(5, 4)
    torch.testing.assert_close(straightened(bent(x)), x)


def test_whitened_latents_are_standard(statistics):
    v = torch.randn(4000, 6)
    w = statistics.unwhiten(v)
    torch.testing.assert_close(statistics.whiten(w), v, atol=1e-3, rtol=1e-3)
    again = Statistics.of(w)
    torch.testing.assert_close(again.centre, statistics.centre, atol=0.3, rtol=0.1)


def test_the_radius_is_the_root_of_the_summed_variance():
    w = torch.randn(1000, 9)
    told = Statistics.of(w)
    expected = w.var(0, correction=0).sum().sqrt()
    torch.testing.assert_close(told.radius, expected)


def test_a_seed_tells_all():
    generator = Generator((4, 4), style=6, depth=2)
    first, second = (Statistics.sampled(generator, 5, 1200) for _ in range(2))
    torch.testing.assert_close(first.mean, second.mean)
    assert not torch.equal(Statistics.sampled(generator, 6, 1200).mean, first.mean)


def test_they_come_back_from_a_file(statistics):
    again = Statistics.read(statistics.tensors())
    torch.testing.assert_close(again.axes, statistics.axes)
    with pytest.raises(ValueError, match="lack centre, axes"):
        Statistics.read({"mean": statistics.mean, "radius": statistics.radius})


def test_a_direction_that_never_varies_is_left_alone():
    w = bent(torch.randn(300, 3) @ torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0]]))
    told = Statistics.of(w)
    v = told.whiten(w)
    assert torch.isfinite(v).all()
    torch.testing.assert_close(told.unwhiten(v), w, atol=1e-3, rtol=1e-3)
