import pytest
import torch

from voicemesh.latent.losses import (
    colour_differences,
    face_weight,
    pyramid_differences,
    texture_differences,
)


def test_moved_texture_is_texture_still_and_smoothing_is_none():
    torch.manual_seed(0)
    target = 0.3 * torch.randn(2, 3, 64, 64)
    other, smooth = 0.3 * torch.randn(2, 3, 64, 64), torch.zeros(2, 3, 64, 64)
    assert texture_differences(target, target).abs().max() == 0
    assert (texture_differences(other, target) < 0.3 * texture_differences(smooth, target)).all()
    # Plain differences prefer the smooth one.
    assert (pyramid_differences(other, target) > pyramid_differences(smooth, target)).all()


def test_stripes_along_and_across_differ():
    waves = torch.sin(torch.arange(64.0)).expand(1, 3, 64, 64)
    assert texture_differences(waves, waves.mT) > 0.3


def test_a_weight_counts_pixels_where_it_is():
    image, target = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    image[:, :, 4:8, 4:8] = torch.rand(4, 4)
    weight = torch.ones(1, 1, 32, 32)
    for measure in (pyramid_differences, texture_differences):
        plain = measure(image, target, weight=weight)
        torch.testing.assert_close(plain, measure(image, target))
        torch.testing.assert_close(measure(image, target, weight=2 * weight), 2 * plain)
        corner = torch.zeros(1, 1, 32, 32)
        corner[:, :, 24:, 24:] = 1
        assert measure(image, target, weight=corner) == 0


def test_the_middle_of_a_face_counts_most():
    weight = face_weight(64, 4.0)[0, 0]
    assert weight.mean() == pytest.approx(1, abs=1e-5)
    assert (int(weight.argmax()) // 64, int(weight.argmax()) % 64) in {(37, 31), (37, 32)}
    assert weight[37, 32] / weight[0, 0] == pytest.approx(5, rel=0.01)


def test_a_tint_is_told_and_neither_brightness_nor_noise():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 32, 32)
    tint = torch.tensor([0.1, 0.0, -0.1])[:, None, None]
    brighter, noisy = image + 0.1, image + 0.1 * torch.randn(2, 1, 32, 32)
    assert colour_differences(brighter, image).max() < 1e-6
    assert colour_differences(noisy, image).max() < 1e-6
    torch.testing.assert_close(colour_differences(image + tint, image), torch.full((2,), 0.2 / 3))
