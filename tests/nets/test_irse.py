"""IR and IR-SE backbones: published sizes, the shape of a unit, what the arguments do."""

import pytest
import torch

from voicemesh.nets.irse import IrBackbone, ResidualUnit, SqueezeExcitation

SMALL = {"units": (2, 1), "widths": (4, 6), "side": 9, "features": 5}


def test_published_sizes():
    with torch.device("meta"):
        sizes = [
            sum(p.numel() for p in IrBackbone(reduction=reduction).parameters())
            for reduction in (None, 16)
        ]
    assert sizes == [43_574_976, 43_797_696]


@pytest.mark.parametrize("reduction", [None, 2])
def test_every_stage_halves_the_picture(reduction):
    net = IrBackbone(**SMALL, reduction=reduction).eval()
    picture = torch.randn(3, 3, 9, 9)
    assert net.body(net.input_layer(picture)).shape == (3, 6, 3, 3)
    assert net(picture).shape == (3, 5)
    gates = [key for key in net.state_dict() if "res_layer.5.fc" in key]
    assert len(gates) == (0 if reduction is None else 6)


def test_a_unit_of_one_width_keeps_every_other_pixel():
    unit = ResidualUnit(3, 3, 2, None).eval()
    for layer in unit.res_layer:
        for parameter in layer.parameters():
            torch.nn.init.zeros_(parameter)
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(unit(x), x[:, :, ::2, ::2])
    assert not list(unit.shortcut_layer.parameters())


def test_the_gate_looks_at_all_channels_and_scales_each():
    gate = SqueezeExcitation(6, 3)
    x = torch.randn(2, 6, 4, 5)
    scales = gate(x) / x
    torch.testing.assert_close(scales, scales[..., :1, :1].expand_as(x))
    louder = x.clone()
    louder[:, 0] += 3
    assert not torch.allclose(gate(louder)[:, 1:], gate(x)[:, 1:])


def test_dropout_is_between_the_map_and_the_features():
    net = IrBackbone(**SMALL, dropout=0.9)
    picture = torch.randn(4, 3, 9, 9)
    assert not torch.equal(net(picture), net(picture))
    assert torch.equal(net.eval()(picture), net(picture))


def test_a_stem_with_a_stride_halves_the_picture_first():
    net = IrBackbone(**{**SMALL, "side": 17}, stem=2).eval()
    assert net.input_layer(torch.randn(1, 3, 17, 17)).shape == (1, 4, 9, 9)
    assert net(torch.randn(3, 3, 17, 17)).shape == (3, 5)
