"""The image regressor: published sizes and keys, stages, whitening."""

import pytest
import torch

from voicemesh.nets.synergynet import POSE, MobileNetV2, SynergyNet, crop_of, narrowed


@pytest.fixture(scope="module")
def net() -> MobileNetV2:
    torch.manual_seed(0)
    return MobileNetV2().eval()


def test_published_size_and_keys(net):
    assert sum(p.numel() for p in net.parameters()) == 2_354_534
    keys = set(net.state_dict())
    assert len(keys) == 320
    assert {
        "features.0.0.weight",
        "features.1.conv.1.weight",
        "features.1.conv.2.running_var",
        "features.17.conv.3.bias",
        "features.18.1.num_batches_tracked",
        "classifier_ori.1.weight",
        "classifier_texture.1.bias",
    } <= keys


@pytest.mark.parametrize(
    ("block", "channels", "side"),
    [(0, 32, 60), (1, 16, 60), (3, 24, 30), (6, 32, 15), (10, 64, 8), (13, 96, 8), (16, 160, 4)],
)
def test_stages(net, block, channels, side):
    with torch.inference_mode():
        assert net.features[: block + 1](torch.zeros(1, 3, 120, 120)).shape[1:] == (
            *(channels, side, side),
        )


def test_what_it_tells(net):
    image = torch.randn(2, 3, 120, 120)
    told = net(image)
    assert told.params.shape == (2, 102)
    assert told.middle.shape == (2, 64, 8, 8)
    torch.testing.assert_close(told.pooled, net.features(image).mean((2, 3)))
    torch.testing.assert_close(told.middle, net.features[:9](image))
    torch.testing.assert_close(told.params[:, 12:52], net.classifier_shape(told.pooled))


def test_narrow_nets_are_narrow_everywhere():
    slim = SynergyNet(5, 3, 2, width=0.3)
    assert narrowed(320, 0.3) == 96 and narrowed(16, 0.3) == 8 and narrowed(1280, 1.0) == 1280
    told = slim(torch.randn(2, 3, 60, 60))
    assert told.pooled.shape == (2, 384) and told.middle.shape == (2, 16, 4, 4)
    assert told.params.shape == (2, POSE + 10)
    wide = sum(p.numel() for p in SynergyNet().parameters())
    assert 6 < wide / sum(p.numel() for p in slim.parameters()) < 12


def test_small_nets_look_at_small_images():
    slim, image = SynergyNet(5, 3, 2, width=0.3, side=30).eval(), torch.randn(2, 3, 60, 60)
    smaller = image.unflatten(3, (30, 2)).mean(4).unflatten(2, (30, 2)).mean(3)
    torch.testing.assert_close(slim(image).params, slim.backbone(smaller).params)
    torch.testing.assert_close(slim(smaller).params, slim.backbone(smaller).params)


def test_whitening_is_that_of_the_pose_alone():
    student, teacher = SynergyNet(4, 3, 2), SynergyNet(4, 3, 2)
    teacher.pose_mean, teacher.pose_deviation = torch.randn(POSE), torch.rand(POSE)
    params = torch.randn(5, POSE + 9)
    assert torch.equal(student.pose_numbers(params), params[:, :POSE])
    told = student.whitened_as(teacher).pose_numbers(params)
    torch.testing.assert_close(told, params[:, :POSE] * teacher.pose_deviation + teacher.pose_mean)
    shape, expression = student.face_params(params)
    assert torch.equal(shape, params[:, 12:16]) and torch.equal(expression, params[:, 16:19])
    assert set(student.state_dict()) - set(teacher.state_dict()) == set()


def test_corners_of_a_crop_are_those_of_the_image():
    image = torch.randn(1, 3, 64, 64)
    # 119 steps of the crop are 63 of the image: every 17th point is a pixel.
    crop = crop_of(image)[..., ::17, ::17]
    torch.testing.assert_close(crop, image[..., ::9, ::9], atol=1e-3, rtol=0)
