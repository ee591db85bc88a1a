import pytest
import torch

from voicemesh.latent.precision import FLOAT16_SCALE, Descent, named, rendered, usual
from voicemesh.nets.lpips import Lpips
from voicemesh.nets.stylegan2 import Generator


@pytest.fixture
def generator():
    net = Generator((6, 6, 4), style=5, depth=2).requires_grad_(False)
    for layer in (net.conv1, *net.convs):
        layer.noise.weight.fill_(0.1)
    return net


def test_names_of_precisions():
    assert named("float32") is None and named("float16") == torch.float16
    assert named("usual", "cpu") == usual("cpu")
    assert usual("meta") is None
    with pytest.raises(ValueError, match="there are usual, float32"):
        named("double")


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_images_in_half_precision_look_the_same(generator, half):
    w = generator.mapping(torch.randn(2, 5)).requires_grad_()
    full, low = (rendered(generator, w, None, kind) for kind in (None, half))
    assert low.dtype == torch.float32 and not torch.equal(full, low)
    assert (full - low).abs().mean() < 0.01 * full.std()
    towards = torch.randn_like(full)
    gradients = [torch.autograd.grad((image * towards).sum(), w)[0] for image in (full, low)]
    assert torch.cosine_similarity(*gradients).min() > 0.99


def test_styles_of_every_layer_and_other_noise_in_half_precision(generator):
    w = generator.mapping(torch.randn(2, 5))
    maps = generator.fresh_noise(2, torch.Generator().manual_seed(1))
    for given, noise in ((generator.rows(w), None), (w, maps)):
        full, low = (rendered(generator, given, noise, k) for k in (None, torch.bfloat16))
        assert (full - low).abs().mean() < 0.02 * full.std()
    assert not torch.allclose(full, rendered(generator, w, None, None), atol=1e-3)


def test_losses_are_scaled_where_small_numbers_vanish():
    leaf = torch.ones(2, 3, requires_grad=True)
    for half, found in ((torch.float16, 1e-8), (torch.bfloat16, 0.0), (None, 0.0)):
        adam = torch.optim.SGD([leaf], lr=0.0)
        Descent(adam, half).step((1e-8 * leaf.half()).sum())
        torch.testing.assert_close(leaf.grad, torch.full_like(leaf, found), atol=0, rtol=0.1)


def test_an_image_whose_gradient_overflows_waits_for_a_smaller_scale():
    steep = torch.tensor([[3e2], [1.0]])
    leaf = torch.zeros(2, 3, requires_grad=True)
    descent = Descent(torch.optim.SGD([leaf], lr=1.0), torch.float16)
    for _ in range(2):
        descent.step((steep * leaf.half()).sum())
    assert (leaf[0] == 0).all() and (leaf[1] == -2).all()
    for _ in range(4):
        descent.step((steep * leaf.half()).sum())
    assert (leaf[0] == -300 * 3).all() and descent.scale == FLOAT16_SCALE / 8


def test_images_and_distances_stay_in_float32_under_autocast(generator):
    w = generator.mapping(torch.randn(2, 5))
    with torch.autocast("cpu", torch.bfloat16):
        image = generator(w)
    assert image.dtype == torch.float32
    steps = (image * 128).frac().abs()
    assert (steps > 0).float().mean() > 0.9  # no stairs of bfloat16
    distance = Lpips(((1, 4),)).eval()
    distance.net.slice1[0].weight.data *= 1e3  # squares that float16 does not hold
    distance.lin0.model[1].weight.data.abs_()
    first, second = torch.rand(2, 2, 3, 8, 8)
    full = distance(first, second)
    with torch.autocast("cpu", torch.float16):
        torch.testing.assert_close(distance(first, second), full, rtol=0.02, atol=1e-4)
