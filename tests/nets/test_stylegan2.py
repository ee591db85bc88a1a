import pytest
import torch

from voicemesh.nets.lpips import Lpips
from voicemesh.nets.stylegan2 import (
    SILENT,
    Discriminator,
    Generator,
    group_deviation,
    mixed,
    narrow_widths,
    published_widths,
    sides,
    truncated,
)

WIDTHS = (6, 5, 4)


@pytest.fixture
def generator() -> Generator:
    return Generator(WIDTHS, style=7, depth=2)


def test_widths_are_the_published_ones():
    assert published_widths(256) == (512, 512, 512, 512, 512, 256, 128)
    assert published_widths(64, 1) == (512, 512, 512, 512, 256)
    assert narrow_widths(128, 2048, 128) == (128, 128, 128, 64, 32, 16)


@pytest.mark.parametrize("size", [2, 48, 0])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match="power of two"):
        sides(size)


def test_every_layer_reads_its_own_row(generator):
    w = torch.randn(2, generator.layers, 7)
    image = generator(w)
    assert image.shape == (2, 3, 16, 16)
    for row in range(generator.layers):
        other = w.clone()
        other[:, row] += 1
        assert not torch.allclose(generator(other), image)
    with pytest.raises(ValueError, match=r"6 styles of 7 values.*\(2, 5, 7\)"):
        generator(w[:, 1:])


def test_a_smaller_image_is_that_of_the_first_branches(generator):
    w = torch.randn(2, 7)
    small = Generator(WIDTHS[:2], style=7, depth=2)
    own = {k: v for k, v in generator.state_dict().items() if k in small.state_dict()}
    small.load_state_dict(own)
    torch.testing.assert_close(generator(w, size=8), small(w))


def test_noise_counts_by_its_strength(generator):
    w = torch.randn(2, 7)
    torch.testing.assert_close(generator(w), generator(w, SILENT))
    generator.convs[0].noise.weight.data.fill_(0.5)
    assert not torch.allclose(generator(w), generator(w, SILENT))
    rng = torch.Generator().manual_seed(3)
    first, second = generator.fresh_noise(2, rng), generator.fresh_noise(2, rng.manual_seed(3))
    torch.testing.assert_close(generator(w, first), generator(w, second))


def test_styles_mix_by_rows_and_are_drawn_to_the_mean():
    a, b = torch.zeros(2, 3), torch.ones(2, 3)
    assert mixed(a, b, 2, 4)[:, :, 0].tolist() == [[0, 0, 1, 1]] * 2
    torch.testing.assert_close(truncated(b, a[0], 0.25), 0.25 * b)


def test_the_discriminator_sees_how_much_a_group_differs():
    net, image = Discriminator(WIDTHS), torch.randn(8, 3, 16, 16)
    assert net(image).shape == (8, 1)
    x = torch.randn(8, 6, 4, 4)
    seen = group_deviation(x)
    torch.testing.assert_close(seen[1, 0], seen[7, 0])  # 1, 3, 5, 7 are one group
    expected = x[1::2].var(0, correction=0).sqrt().mean()
    torch.testing.assert_close(seen[1].mean(), expected)
    with pytest.raises(ValueError, match="6 images has no whole groups of 4"):
        net(image[:6])


def test_second_derivatives_reach_every_weight():
    net, image = Discriminator(WIDTHS), torch.randn(4, 3, 16, 16, requires_grad=True)
    (first,) = torch.autograd.grad(net(image).sum(), image, create_graph=True)
    first.square().sum().backward()
    assert all(p.grad is not None for n, p in net.named_parameters() if n.endswith("weight"))


def test_lpips_grows_with_the_difference():
    net = Lpips(((1, 4), (2, 6))).requires_grad_(False)
    for number in range(2):
        net.get_submodule(f"lin{number}").model[1].weight.abs_()
    image = torch.rand(3, 3, 16, 16) * 2 - 1
    noise = torch.randn_like(image)
    distances = [net.eval()(image, image + share * noise) for share in (0.0, 0.1, 0.4)]
    assert distances[0].abs().max() < 1e-6
    assert (distances[0] < distances[1]).all() and (distances[1] < distances[2]).all()
    kept = net.features(image)
    torch.testing.assert_close(net.distance(kept, image + noise), net(image + noise, image))
