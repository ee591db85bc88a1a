import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.numpy import save_file
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.latent.projection import pixels_of
from voicemesh.nets.stylegan2 import Generator
from voicemesh.population.portrait_set import PortraitShard
from voicemesh.population.portraits import LIGHTS, LOOKS
from voicemesh.training import portraits_recipe
from voicemesh.training.loop import LoopSettings
from voicemesh.training.pictures import Pictures
from voicemesh.training.portrait_law import ParameterLaw, parameters_of
from voicemesh.training.stylegan2 import RECIPES, pixel_error, play, start
from voicemesh.training.stylegan2_anchored import AnchoredPlayers
from voicemesh.training.stylegan2_augment import Adaptive, augment, random_maps, recoloured, warped
from voicemesh.training.stylegan2_losses import average, ema_decay
from voicemesh.training.stylegan2_players import NET, StyleGan2Recipe

SMALL = StyleGan2Recipe(
    size=8,
    base=64,
    cap=6,
    style=8,
    depth=2,
    steps=6,
    batch_size=4,
    r1_every=2,
    path_every=3,
    adaptive=True,
    adaptive_images=20,
    half_life=20,
)


@pytest.fixture(autouse=True)
def short_mapping(monkeypatch):
    """A mapping that is learnt in no time."""
    monkeypatch.setattr(portraits_recipe, "BUNDLE", replace(portraits_recipe.BUNDLE, mapping=3))


@pytest.fixture
def pictures(rng):
    dark = rng.integers(0, 90, (40, 8, 8, 3)).astype(np.uint8)
    return Pictures(8, dark)


def portraits(rng, rows):
    """Plain portraits, as bright as the first shape parameter, all neutral."""
    shape = rng.standard_normal((rows, 2)).astype(np.float32)
    grey = (127 + 40 * shape[:, :1]).clip(0, 255).astype(np.uint8)
    number, zeros = np.arange(rows), np.zeros((rows, 1), np.float32)
    return PortraitShard(
        pixels=np.repeat(grey, 16 * 16 * 3, 1).reshape(rows, 16, 16, 3),
        identity=number,
        picture=0 * number,
        shape_params=shape,
        expression_params=zeros,
        camera=np.tile(np.eye(3, 4, dtype=np.float32), (rows, 1, 1)),
        look=np.zeros((rows, len(LOOKS)), np.float32),
        light=np.ones((rows, len(LIGHTS)), np.float32),
        backdrop=np.zeros((rows, 3), np.float32),
    )


def run(pictures, folder, steps=6, recipe=SMALL):
    settings = LoopSettings(steps, recipe.seed, log_every=2, validate_every=2)
    return play(pictures, folder, recipe, settings)


def pictured(rng, people):
    """The folder of a population: small portraits of 24 people to learn from, and to judge by."""
    data = people / "portraits-16"
    data.mkdir(parents=True)
    shards = {}
    for number, split in enumerate(("train", "validation")):
        save_file(vars(portraits(rng, 24)), data / f"shard-{number:05d}.safetensors")
        shards[split] = [number]
    about = {"pictures": 3, "size": 16, "seed": 0}
    told = {"format": 1, "recipe": about, "face_model": "", "looks": [], "shards": shards}
    (data / "portraits.json").write_text(json.dumps(told))
    return people


def test_an_interrupted_run_ends_as_an_unbroken_one(pictures, tmp_path):
    told = run(pictures, tmp_path / "whole")
    assert {"critic", "generator", "r1", "path", "augmented"} <= told.keys()
    assert all(math.isfinite(value) for value in told.values())
    run(pictures, tmp_path / "broken", 4)
    run(pictures, tmp_path / "broken")
    first, second = ((tmp_path / n / NET).read_bytes() for n in ("whole", "broken"))
    assert first == second
    lines = (tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6]
    assert (tmp_path / "broken" / "samples-000006.jpg").exists()
    with pytest.raises(ValueError, match=r"another recipe.*r1"):
        run(pictures, tmp_path / "whole", recipe=replace(SMALL, r1=2.0))


def test_an_anchored_generator_comes_nearer_to_its_portraits(rng, tmp_path):
    grey = rng.integers(40, 200, 60).astype(np.uint8)
    z = torch.from_numpy((grey.astype(np.float32) - 120) / 46)[:, None]
    held = np.broadcast_to(grey[:, None, None, None], (60, 8, 8, 3)).copy()
    known = Pictures(8, held, z=z.numpy()[None])
    images, whole = known.draw_known(9, rng, 8)
    torch.testing.assert_close(whole.norm(dim=1), torch.full((9,), 8**0.5))
    torch.testing.assert_close(images[:, 0, 0, 0], whole[:, 0] * 46 / 127.5 + 120 / 127.5 - 1)
    recipe = replace(SMALL, anchor=20.0, texture=1.0, loose=0.25, half=True, steps=100)
    recipe = replace(recipe, learning_rate=0.02, critic_rate=0.002)
    told = run(known, tmp_path / "few", 2, recipe), run(known, tmp_path / "more", 100, recipe)
    assert told[1]["anchor"] < 0.7 * told[0]["anchor"]
    assert {"critic", "generator", "r1", "texture"} <= told[1].keys()


def test_both_phases_run_by_one_command_and_go_on(rng, tmp_path):
    people = pictured(rng, tmp_path / "people")
    recipe = replace(
        SMALL, size=16, base=128, style=64, anchor=10.0, texture=1.0, regression=4, half=True
    )
    for minutes in (0.0, 5.0):  # the first has time for one look at the clock
        last = start(people, tmp_path / "run", recipe, Bundle.open(), minutes)
    assert {"anchor", "critic"} <= last.keys()
    assert (tmp_path / "run" / "portraits" / "best.safetensors").exists()
    assert (tmp_path / "run" / "samples-000006.jpg").exists()
    with pytest.raises(ValueError, match="no run of stylegan2-portraits"):
        start(people, tmp_path / "new", replace(recipe, start=str(tmp_path)), Bundle.open())


def test_what_means_nothing_is_never_learnt_from(rng):
    recipe = replace(SMALL, anchor=1.0, loose=0.5, growing=0.5)
    players = AnchoredPlayers(recipe, Accelerator(cpu=True))
    first = players.player.generator.style[1].weight
    with torch.no_grad():
        first[:, 3:] = 0
    players.player.means.copy_(first.any(0))
    told = players.iterate(0, torch.rand(4, 3, 8, 8), torch.randn(4, 8))  # at half the size
    assert (first[:, 3:] == 0).all() and (first[:, :3] != 0).any()
    assert not any(p.grad is not None for p in players.player.generator.convs[1].parameters())
    players.iterate(3, torch.rand(4, 3, 8, 8), torch.randn(4, 8))
    assert all(p.grad is not None for p in players.player.generator.convs[1].parameters())
    assert np.isfinite(list(told.values())).all()


def test_layers_settle_at_the_end_under_a_mapping_that_stays(rng):
    torch.manual_seed(0)
    recipe = replace(SMALL, anchor=1.0, settling=0.5, critic_scales=2)
    players = AnchoredPlayers(recipe, Accelerator(cpu=True))
    real, known, told = torch.rand(4, 3, 8, 8), torch.randn(4, 8), []
    for step in (2, 3):  # the first of six is not yet of the last half, the other is
        torch.manual_seed(0)
        style = [p.detach().clone() for p in players.player.generator.style.parameters()]
        layer = players.player.generator.convs[1].conv.weight.detach().clone()
        told.append(players.iterate(step, real, known))
        after = players.player.generator.style.parameters()
        moved = any(not torch.equal(a, b) for a, b in zip(style, after, strict=True))
        assert moved == (step == 2)
        assert not torch.equal(layer, players.player.generator.convs[1].conv.weight)
    assert told[1]["anchor"] > 1.5 * told[0]["anchor"]


def test_a_recipe_begins_with_the_layers_of_the_one_before(rng, tmp_path, monkeypatch):
    people = pictured(rng, tmp_path / "people")
    first = replace(SMALL, size=16, base=128, style=64, anchor=10.0, regression=2, steps=2)
    monkeypatch.setitem(RECIPES, "first", replace(first, neutral=True))
    recipe = replace(first, before="first", mixing=0.5)
    start(people, tmp_path / "run", recipe, Bundle.open())
    written = json.loads((tmp_path / "run" / "portraits" / "recipe.json").read_text())["recipe"]
    assert written["layers"] == str(tmp_path / "run" / "first") and written["mapping"]
    assert (tmp_path / "run" / "first" / NET).exists() and (tmp_path / "run" / NET).exists()


def test_the_error_of_a_pixel_is_that_of_the_image(rng):
    shard = portraits(rng, 5)
    torch.manual_seed(0)
    generator = Generator((6, 6, 6), 64, 2, 0.5).eval()
    law = ParameterLaw.of(parameters_of(shard), 2)
    error = pixel_error(generator, law, shard)
    z = functional.pad(torch.from_numpy(law.z(parameters_of(shard))), (0, 64 - law.size))
    with torch.no_grad():
        images = generator(generator.style[1:](z)).clamp(-1, 1)
    painted = replace(shard, pixels=pixels_of(images))
    assert error > 0.05
    assert pixel_error(generator, law, painted) < 0.5 / 255


def test_photographs_of_any_shape_become_squares(tmp_path, rng):
    with pytest.raises(ValueError, match="no portraits of 8 pixels and no photographs"):
        Pictures.open(tmp_path, 8)
    Image.fromarray(rng.integers(0, 256, (20, 31, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    drawn = Pictures.open(tmp_path, 8).draw(6, rng, flips=True)
    assert drawn.shape == (6, 3, 8, 8) and drawn.abs().max() <= 1
    sides = {tuple(image.flatten().tolist()) for image in drawn}
    assert len(sides) == 2  # itself and its mirror image


def test_the_average_forgets_by_half():
    old, new = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    for net, value in ((old, 0.0), (new, 1.0)):
        net.weight.data.fill_(value)
    average(old, new, ema_decay(10, 10))
    assert old.weight.item() == 0.5


def test_without_chance_nothing_is_augmented():
    images, rng = torch.rand(3, 3, 16, 16), torch.Generator().manual_seed(0)
    shown = augment(images, 0.0, rng)
    torch.testing.assert_close(shown, images, atol=2e-3, rtol=0)
    assert (augment(images, 1.0, rng) - images).abs().mean() > 0.05


def test_quarter_turns_go_all_four_ways():
    maps = random_maps(600, (16, 16), 1e-9, torch.Generator().manual_seed(0))
    torch.testing.assert_close(maps, torch.eye(3).expand(600, 3, 3))
    still = random_maps(100, (16, 16), 0.9, torch.Generator().manual_seed(0), turns=False)
    assert (still[:, 0, 1].abs() < 1e-6).all()  # upright
    drawn = torch.linalg.inv(random_maps(600, (16, 16), 0.5, torch.Generator().manual_seed(0)))
    quarters = torch.atan2(drawn[:, 1, 0], drawn[:, 0, 0]) * (2 / math.pi)
    exact = (quarters - quarters.round()).abs() < 1e-4  # no free rotation
    upright = exact & (torch.linalg.det(drawn) > 0)  # no mirroring
    assert {int(q) % 4 for q in quarters[upright].round()} == {0, 1, 2, 3}


def test_a_map_moves_the_picture():
    images = torch.zeros(1, 3, 16, 16)
    images[:, :, 4:8, 4:8] = 1
    maps = torch.eye(3)[None].clone()
    maps[:, 0, 2] = 3.0  # what is shown comes from three pixels further right
    moved = warped(images, maps)
    torch.testing.assert_close(moved[..., 1:5], images[..., 4:8], atol=0.02, rtol=0)
    grey = torch.eye(4)[None].clone()
    grey[:, :3, :3], grey[:, :3, 3] = 0, 0.25
    assert recoloured(images, grey).unique().tolist() == [0.25]


def test_augmentation_has_second_derivatives():
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    shown = augment(images, 1.0, torch.Generator().manual_seed(0))
    (first,) = torch.autograd.grad(shown.square().sum(), images, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), images)
    assert second.abs().sum() > 0


@pytest.mark.parametrize(("score", "expected"), [(1.0, 8 / 50), (-1.0, 0.0)])
def test_chance_follows_how_sure_the_critic_is(score, expected):
    adaptive = Adaptive(images=50, every=2)
    for _ in range(2):
        adaptive.update(torch.full((4, 1), score))
    assert adaptive.probability == pytest.approx(expected)
    again = Adaptive(images=50, every=2)
    again.load_state_dict(adaptive.state_dict())
    assert again.state_dict() == adaptive.state_dict()
