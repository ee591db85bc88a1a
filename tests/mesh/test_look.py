"""Colours from paint: each layer shows where it lies, and follows the look."""

import pytest
import torch

from voicemesh.mesh import look as lk
from voicemesh.mesh.look import PAINT_CHANNELS, Look, hair, iris, paint, skin, srgb


def one(**layers: float) -> dict[str, torch.Tensor]:
    """Paint of a single vertex."""
    return {name: torch.tensor([float(value)]) for name, value in layers.items()}


def test_display_curve_by_known_values():
    linear = torch.tensor([0.0, 0.0021, 0.214, 1.0, 1.7])
    known = torch.tensor([0.0, 0.02713, 0.5, 1.0, 1.0])
    torch.testing.assert_close(srgb(linear), known, rtol=0, atol=1e-3)


def test_iris_passes_through_its_stops():
    for at, colour in zip(lk.IRIS_STOPS, lk.IRIS_COLOURS, strict=True):
        torch.testing.assert_close(iris(Look(iris=at)), torch.tensor(colour))
    between = (torch.tensor(lk.IRIS_COLOURS[1]) + torch.tensor(lk.IRIS_COLOURS[2])) / 2
    torch.testing.assert_close(iris(Look(iris=0.525)), between)
    torch.testing.assert_close(iris(Look(iris=7)), torch.tensor(lk.IRIS_COLOURS[-1]))


def test_hair_darkens_with_pigment_and_fades_to_grey():
    light, dark = hair(Look(eumelanin=0.1)), hair(Look(eumelanin=0.9))
    assert (light > dark).all()
    red = hair(Look(eumelanin=0.1, pheomelanin=0.9))
    assert red[0] / red[2] > 1.5 * light[0] / light[2]
    torch.testing.assert_close(hair(Look(grey=1.0)), torch.tensor(lk.GREY_HAIR))


@pytest.mark.parametrize(
    ("channel", "colour"),
    [("sclera", lk.SCLERA), ("pupil", lk.PUPIL), ("mouth", lk.MOUTH)],
)
def test_full_cover_is_its_own_colour(channel, colour):
    torch.testing.assert_close(paint(one(**{channel: 1}), Look())[0], srgb(torch.tensor(colour)))


def test_brows_grey_later_than_hair():
    old = Look(grey=1.0)
    brows, scalp = paint(one(brows=1), old)[0], paint(one(scalp=1), old)[0]
    assert (brows < scalp).all()
    assert brows[0] / brows[2] > scalp[0] / scalp[2]


def test_layers_lie_over_each_other():
    eye = one(sclera=1, iris=1, pupil=0)
    torch.testing.assert_close(paint(eye, Look(iris=0.1))[0], srgb(iris(Look(iris=0.1))))
    torch.testing.assert_close(paint(one(scalp=1, beard=1), Look())[0], srgb(hair(Look())))


@pytest.mark.parametrize("channel", sorted(set(PAINT_CHANNELS) - {"beard"}))
def test_every_channel_changes_bare_skin(channel):
    bare, painted = paint(one(shade=0), Look()), paint(one(**{channel: 0.8}), Look())
    assert (bare - painted).abs().max() > 0.01


def test_lips_are_redder_and_melanin_darker():
    bare = paint(one(shade=0), Look())[0]
    lips, dark = paint(one(lips=1), Look())[0], paint(one(melanin=0.5), Look())[0]
    assert lips[0] / lips[1] > 1.15 * bare[0] / bare[1]
    lips = paint(one(lips=1), Look(melanin=0.2, blood=0.006))[0]
    paler = skin(torch.tensor(0.2 * 0.7), torch.tensor(0.006 * 6))
    torch.testing.assert_close(lips, srgb(paler))
    assert (dark < bare).all()


def test_hair_can_be_shaved():
    bare = paint(one(shade=0), Look())
    torch.testing.assert_close(paint(one(scalp=1), Look(scalp=0)), bare)
    torch.testing.assert_close(paint(one(beard=1), Look(beard=0)), bare)
    shaved, grown = (paint(one(beard=1), Look(beard=share))[0] for share in (0.3, 1.0))
    assert (shaved < bare[0]).all() and (grown < shaved).all()
    assert shaved[2] / bare[0, 2] > shaved[0] / bare[0, 0]  # a bluish shadow
