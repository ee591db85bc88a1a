import pytest
import torch

from voicemesh.latent.precision import loss_scale, named, rendered, usual
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
    assert loss_scale(torch.float16) > 1 and loss_scale(None) == loss_scale(torch.bfloat16) == 1
