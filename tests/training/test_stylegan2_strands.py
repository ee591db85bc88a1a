import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tests.training.test_stylegan2 import SMALL, pictured
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.evaluation.realness import critic_of
from voicemesh.latent.losses import loose_differences
from voicemesh.nets.stylegan2 import Generator
from voicemesh.training.stylegan2 import RECIPES, start
from voicemesh.training.stylegan2_anchored import held_critic
from voicemesh.training.stylegan2_players import NET
from voicemesh.training.stylegan2_strands import begin_strands, smeared, ways
from voicemesh.training.stylegan2_told import ToldCritic
from voicemesh.training.stylegan2_widening import widened


def stripes(count=4, size=32, deep=0.05):
    """Pictures of faint lines that run down."""
    lines = deep * torch.sin(torch.arange(size) * 1.3 + torch.arange(count)[:, None])
    return lines[:, None, None].expand(-1, 3, size, -1)


def test_ways_run_along_faint_edges_and_not_along_strong_ones():
    way = ways(stripes())[0, :, 8:-8, 8:-8]
    assert (way[0].abs() < 0.1).all() and (way[1].abs() > 0.99).all()
    strong = torch.zeros(4, 3, 32, 32)
    strong[:, :, ::3] = 1.0  # two rows of three have them
    way = ways(stripes() + strong)[0, :, 8:-8, 8:-8]
    assert (way[1].abs() > 0.9).float().mean() > 0.9


def test_noise_is_smeared_along_a_way():
    noise = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    down = torch.stack([torch.zeros(32, 32), torch.ones(32, 32)])[None]
    found = smeared(noise, down, 4)
    along = (found[:, :, 1:] * found[:, :, :-1]).mean()
    across = (found[:, :, :, 1:] * found[:, :, :, :-1]).mean()
    assert along > 0.6 and across.abs() < 0.25
    assert abs(float(found.std()) - 1) < 1e-3


def test_only_fine_maps_become_strands():
    generator = Generator((4, 4, 4, 4, 4, 4), 8, 1)
    before = [noise.clone() for noise in generator.stored_noise()]
    begin_strands(generator, stripes(size=128))
    same = [torch.equal(a, b) for a, b in zip(before, generator.stored_noise(), strict=True)]
    assert same == [True] * 7 + [False] * 4
    assert generator.convs[9].noise.weight > 0 and generator.convs[3].noise.weight == 0


def test_a_wider_generator_begins_with_the_same_images():
    torch.manual_seed(0)
    older, wider = Generator((8, 6, 4), 8, 2), Generator((8, 8, 6), 8, 2)
    for layer in older.convs:
        layer.noise.weight.data.fill_(0.3)
    widened(wider, older)
    w = older.mapping(torch.randn(3, 8))
    torch.testing.assert_close(wider(w), older(w), atol=1e-4, rtol=1e-4)
    assert wider.convs[0].conv.weight[:, 6:].abs().min() > 0  # new channels see something
    with pytest.raises(ValueError, match="choose wider"):
        widened(Generator((8, 4, 4), 8, 2), older)


def test_a_critic_that_is_told_asks_for_it():
    torch.manual_seed(0)
    critic, images, told = ToldCritic(8, 2, 5), torch.rand(4, 3, 32, 32), torch.randn(3, 5)
    assert torch.allclose(critic(images, told), critic(images))  # nothing is asked at first
    for asked in critic.asked:
        torch.nn.init.normal_(asked[-1].weight)
    found = critic(images, told, told.roll(1, 0))
    assert found.shape == (7, 2, 8, 8)
    assert not torch.allclose(found[:3], critic(images)[:3], atol=1e-3)
    torch.testing.assert_close(found[3:4], critic(images)[3:])
    torch.testing.assert_close(found[4:], critic(images[:3], told.roll(1, 0)))


def test_strands_are_free_but_not_the_face():
    flat = torch.zeros(1, 3, 64, 64)
    apart = {}
    for name, (row, column) in {"hair": (2, 2), "face": (36, 32)}.items():
        image = flat.clone()
        image[:, :, row, column], image[:, :, row, column + 1] = 1.0, -1.0
        strict, loose = (float(loose_differences(image, flat, 0.0, share)) for share in (1.0, 0.1))
        apart[name] = loose / strict
    assert apart["hair"] < 0.3 < 0.8 < apart["face"]
    broad = flat.clone()
    broad[:, :, :16, :16] = 1.0  # what is larger than strands counts everywhere
    strict, loose = (float(loose_differences(broad, flat, 0.0, share)) for share in (1.0, 0.1))
    assert loose > 0.7 * strict


def test_a_recipe_goes_on_with_the_run_of_an_earlier_one(rng, tmp_path, monkeypatch):
    people = pictured(rng, tmp_path / "people")
    first = replace(SMALL, size=16, base=128, style=64, anchor=10.0, regression=2, steps=2)
    monkeypatch.setitem(RECIPES, "first", replace(first, neutral=True))
    wide = {"base": 256, "cap": 16, "maps": True, "told": True, "hair": 0.2, "loose": 0.25}
    recipe = replace(first, earlier="first", learning_rate=1e-6, critic_rate=1e-6, **wide)
    last = start(people, tmp_path / "run", recipe, Bundle.open())
    assert {"critic", "stranger"} <= last.keys()
    older, found = (load_file(tmp_path / f / NET) for f in ("run/first", "run"))
    held = older["convs.1.conv.weight"]
    rows, columns = held.shape[1:3]
    torch.testing.assert_close(
        found["convs.1.conv.weight"][:, :rows, :columns], held, atol=1e-4, rtol=0
    )
    assert found["convs.3.conv.weight"].shape[1] > older["convs.3.conv.weight"].shape[1]
    written = json.loads((tmp_path / "run" / "recipe.json").read_text())["recipe"]
    assert written["start"] == str(tmp_path / "run" / "first" / "portraits")
    before, after = held_critic(tmp_path / "run" / "first"), held_critic(tmp_path / "run")
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-4, rtol=0)
    scored = critic_of(tmp_path / "run")(torch.rand(1, 3, 16, 16))
    assert scored.isfinite().all()
    with pytest.raises(ValueError, match="no state to go on with"):
        held_critic(tmp_path)
