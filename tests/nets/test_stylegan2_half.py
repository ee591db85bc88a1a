import pytest
import torch

from voicemesh.nets.portrait_critic import PortraitCritic
from voicemesh.nets.stylegan2 import Generator, narrow_widths
from voicemesh.nets.stylegan2_half import half_images, mapped


@pytest.fixture
def generator():
    torch.manual_seed(0)
    net = Generator(narrow_widths(32, 256, 16), 24, 2, 0.5)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "noise" in name or "bias" in name:
                value.add_(0.3 * torch.randn_like(value))
    return net


@pytest.mark.parametrize(
    ("dtype", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 0.08)], ids=["float32", "bfloat16"]
)
@pytest.mark.parametrize("size", [8, 32])
def test_images_are_those_of_the_generator(generator, dtype, most, size):
    w = generator.style[1:](torch.randn(5, 24))
    images = half_images(generator, w, size, dtype)
    wanted = generator(w, size=size)
    assert images.dtype == torch.float32 and images.shape == (5, 3, size, size)
    assert (images - wanted).abs().max() < most * wanted.std()


def test_gradients_are_those_of_the_generator(generator):
    z = torch.randn(3, 24)
    torch.testing.assert_close(mapped(generator.style, z), generator.style[1:](z))
    sums = []
    for images in (
        half_images(generator, mapped(generator.style, z), dtype=torch.float32),
        generator(generator.style[1:](z)),
    ):
        generator.zero_grad()
        images.square().sum().backward()
        sums.append({n: p.grad.clone() for n, p in generator.named_parameters()})
    for name, gradient in sums[0].items():
        scale = sums[1][name].abs().max()
        assert (gradient - sums[1][name]).abs().max() <= 1e-3 * scale + 1e-4, name


def test_a_patch_is_scored_by_its_neighbourhood_alone():
    critic, image = PortraitCritic(4), torch.zeros(1, 3, 64, 64)
    changed = image.clone()
    changed[:, :, :8, :8] = 1
    apart = (critic(changed) - critic(image)).abs()[0, 0] > 0
    assert critic(image).shape == (1, 1, 16, 16)
    assert apart[0, 0] and apart[:6, :6].any() and not apart[6:].any() and not apart[:, 6:].any()
    assert critic(image)[0, 0, 4:-4, 4:-4].std() > 0  # it knows where a patch is
