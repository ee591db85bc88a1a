import json
from copy import deepcopy
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.training.test_stylegan2 import SMALL, portraits
from voicemesh.nets.stylegan2 import Generator
from voicemesh.training.pictures import Pictures
from voicemesh.training.portrait_law import LAW, ParameterLaw, parameters_of
from voicemesh.training.stylegan2_mapping import MappingRecipe, components_of, fit_mapping, seen
from voicemesh.training.stylegan2_players import NET, generator_of
from voicemesh.training.stylegan2_transfer import begin_with, joined_layers, latents


def test_small_pictures_and_contrast_are_seen(rng):
    flat = np.full((1, 64, 64, 3), 90, np.uint8)
    striped = flat.copy()
    striped[:, ::2] += 60
    striped[:, 1::2] -= 60
    plain, strong = seen(np.concatenate([flat, striped]), 1.0)
    small = 3 * 32 * 32
    torch.testing.assert_close(plain[:small], strong[:small])
    assert strong[small : small + 16].min() > 10 * plain[small : small + 16].max()


def test_components_are_shortened(rng):
    values = torch.from_numpy(rng.standard_normal((500, 6)) * [16, 4, 1, 0, 0, 0]).float()
    found = components_of(values, 3, 0.25, rng)
    lengths = found.std(0)
    torch.testing.assert_close(
        lengths / lengths[0], torch.tensor([1.0, 2.0, 4.0]), rtol=0.1, atol=0
    )
    assert found.square().mean() == pytest.approx(1, abs=1e-3)


def test_the_mapping_learns_what_pictures_show(rng):
    z = rng.standard_normal((2, 400, 2)).astype(np.float32)
    z[1, :, 0] = z[0, :, 0]  # the second number means nothing
    grey = np.where(z[0, :, :1] > 0.5, 200, 60).astype(np.uint8)  # a rare thing
    pixels = np.repeat(grey, 32 * 32 * 3, 1).reshape(400, 32, 32, 3)
    generator = Generator((4, 4), 16, 2, 0.5)
    made = MappingRecipe(300, 64, 1, learning_rate=0.02, held_out=0.2)
    assert fit_mapping(generator, z, pixels, made) > 0.8


def test_layers_join_a_mapping_whose_lines_tell_the_older_latents(rng):
    torch.manual_seed(0)
    older, new = Generator((6, 6), 8, 2, 0.5), Generator((6, 6), 8, 2, 0.5)
    w = torch.from_numpy(rng.standard_normal((300, 8))).float()
    lines, offset = torch.randn(8, 8), torch.randn(8)
    known = w @ lines.T + offset
    style = deepcopy(new.style.state_dict())
    assert joined_layers(new, older, w, known) > 0.99
    with torch.no_grad():
        made, expected = new(w[:4]), older(known[:4])
    assert (made - expected).abs().mean() < 0.05 * expected.abs().mean()
    assert all(torch.equal(style[k], v) for k, v in new.style.state_dict().items())


def test_a_generator_begins_with_the_layers_of_a_run(rng, tmp_path):
    values = parameters_of(portraits(rng, 30))
    law = ParameterLaw.of(values, 2)
    law.save(tmp_path / LAW)
    recipe = {**asdict(replace(SMALL, style=64)), "start": str(tmp_path)}
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": recipe}))
    torch.manual_seed(1)
    older, new = generator_of(recipe), generator_of(recipe)
    save_file(older.state_dict(), tmp_path / NET)
    told = begin_with(new, law, tmp_path, values, values[0])
    assert 0.5 < told <= 1
    assert torch.equal(new.convs[0].conv.weight, older.convs[0].conv.weight)
    assert latents(new, law.z(values)).shape == (30, 64)
    with pytest.raises(ValueError, match="choose the same"):
        begin_with(Generator((6, 6, 6), 64, 2, 0.5), law, tmp_path, values, values[0])


def test_loose_z_are_gaussian_heads_that_sit_as_portraits_do(rng):
    held = np.zeros((50, 8, 8, 3), np.uint8)
    z = np.full((3, 50, 4), 5.0, np.float32)
    z[:, :, 2:] = np.where(np.arange(50) < 25, 7.0, 5.0)[:, None]
    known = Pictures(8, held, (), z, 2, np.arange(50) < 25, 0.5)
    _, whole = known.draw_known(16, rng, 200, loose=4)
    assert (whole[:12, :2] == 5).all() and (whole[12:, :2].abs() < 4.5).all()
    sitting = whole[12:, 2]
    assert ((sitting == 7) | (sitting.abs() < 4.5)).all()
    assert sum(bool((known.draw_known(16, rng, 200, 4)[1][12:, 2] == 7).any()) for _ in range(9))
