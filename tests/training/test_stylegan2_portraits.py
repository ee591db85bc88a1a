from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from voicemesh.population.portrait_set import PortraitRecipe, PortraitSet, PortraitShard
from voicemesh.population.portraits import LIGHTS, LOOKS
from voicemesh.training.loop import LoopSettings, train
from voicemesh.training.portrait_law import BEARDED, ParameterLaw, mixed_rows, parameters_of
from voicemesh.training.stylegan2_portraits import (
    PortraitNet,
    PortraitsRecipe,
    PortraitsTask,
)

SMALL = PortraitsRecipe(
    size=16,
    base=128,
    cap=12,
    style=64,
    depth=2,
    steps=30,
    sizes=(8, 16),
    shares=(0.5, 0.5),
    batch_size=8,
    learning_rate=2e-2,
)


def portraits(rng, rows):
    """Plain pictures, as bright as the first shape parameter, of as many women as men."""
    shape = rng.standard_normal((rows, 2)).astype(np.float32)
    grey = (127 + 40 * shape[:, 0]).clip(0, 255).astype(np.uint8)
    pixels = np.broadcast_to(grey[:, None, None, None], (rows, 16, 16, 3)).copy()
    camera = np.tile(np.eye(3, 4, dtype=np.float32), (rows, 1, 1))
    camera[:, 0, 2] = 0.1 * rng.standard_normal(rows)
    number = np.arange(rows)
    look = np.zeros((rows, len(LOOKS)), np.float32)
    look[:, 0], look[:, BEARDED] = shape[:, 0] ** 2, number % 2
    light = np.ones((rows, len(LIGHTS)), np.float32)
    return PortraitShard(
        *(pixels, number, number % 3, shape, rng.standard_normal((rows, 1)).astype(np.float32)),
        *(camera, look, light, np.ones((rows, 3), "f")),
    )


@pytest.fixture
def task(rng, tmp_path):
    files = {}
    for split, rows in (("train", 64), ("validation", 33)):
        shard, path = portraits(rng, rows), tmp_path / f"{split}.safetensors"
        save_file({name: np.ascontiguousarray(v) for name, v in vars(shard).items()}, path)
        files[split] = (path,)
    known = PortraitSet(tmp_path, PortraitRecipe(size=16), files)
    law = ParameterLaw.of(parameters_of(known.gathered("train")), 2)
    torch.manual_seed(0)

    def made(times=1, **more):
        return PortraitsTask(replace(SMALL, **more), [known] * times, law, tmp_path)

    return made


def test_training_lowers_the_loss_and_shows_it(task, tmp_path):
    made = task()
    (tmp_path / "run").mkdir()
    before = made.validate(torch.device("cpu"))["loss"]
    settings = LoopSettings(30, log_every=10, validate_every=30)
    best = train(made, SMALL, tmp_path / "run", settings)
    assert best["loss"] < 0.5 * before
    assert (tmp_path / "pairs-000030.jpg").exists() and (tmp_path / "samples-000030.jpg").exists()


def test_pictures_grow_with_the_steps(task, rng):
    made = task()
    assert made.batch(rng)["pixels"].shape == (8, 8, 8, 3)
    made.schedule.last_epoch = 15
    assert made.batch(rng)["pixels"].shape == (8, 16, 16, 3)


def test_the_rate_rises_stays_and_falls(task):
    made = task(steps=100, warming=0.1, cooling=0.5, learning_rate=1.0)
    rates = []
    for _ in range(101):
        rates.append(made.schedule.get_last_lr()[0])
        made.optimiser.step()
        made.schedule.step()
    assert rates[0] == 0 and rates[10:51] == [1.0] * 41 and rates[100] == 0
    assert rates[75] == pytest.approx(0.5)


def test_the_average_is_what_a_run_gives(task, rng):
    made = task(kept=0.5, half=True, texture=1.0, faces=2.0)
    net, start = made.net, made.net.generator.input.input.detach().clone()
    made.schedule.last_epoch = 20
    losses = net(made.batch(rng))
    whole = losses["plain"] + losses["edges"] + losses["texture"]
    torch.testing.assert_close(losses["loss"], whole)
    with torch.no_grad():
        net.generator.input.input.add_(1.0)
    net(made.batch(rng))
    torch.testing.assert_close(net.average.input.input, start + 0.5)
    assert net.result is net.average and not any(p.requires_grad for p in net.average.parameters())


def test_portraits_of_several_populations_are_learnt_from(task):
    alone, both = task(), task(times=2)
    assert (
        len(both._pixels["train"]) == both._z["train"].shape[1] == 2 * len(alone._pixels["train"])
    )
    assert len(both._pixels["validation"]) == len(alone._pixels["validation"])


def test_what_is_left_of_z_means_nothing():
    net = PortraitNet(SMALL, 5)
    z = torch.randn(3, 64)
    z *= (64**0.5) / z.norm(dim=1, keepdim=True)
    whole = net.generator(net.generator.mapping(z))
    torch.testing.assert_close(net.images(z[:, :5]), whole, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="65 parameters, z only 64"):
        PortraitNet(SMALL, 65)


def test_neutral_portraits_are_the_first_of_each_person(task):
    made = task(neutral=True)
    assert len(made._pixels["train"]) == 22 and len(made._pixels["validation"]) == 11


def test_a_batch_holds_as_many_neutral_portraits_as_asked(task, rng):
    made = task(resting=0.5)
    rows = mixed_rows(made._neutral, 8, 0.5, rng)
    assert made._neutral[rows].tolist() == [True] * 4 + [False] * 4
    assert 0 < made._neutral[mixed_rows(made._neutral, 300, 0.0, rng)].mean() < 0.5


def test_the_mapping_is_learnt_first_and_kept(task, tmp_path):
    first = task(mapping=3)
    assert (tmp_path / "mapping.safetensors").exists()
    plain, again = task(), task(mapping=3)
    weight = [made.net.generator.style[2].weight for made in (first, plain, again)]
    assert torch.equal(weight[0], weight[2]) and not torch.equal(weight[0], weight[1])
