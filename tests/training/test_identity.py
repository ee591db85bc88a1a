import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.latent.losses import Identity
from voicemesh.population.portrait_set import PortraitShard
from voicemesh.training.identity import IdentityRecipe, IdentityTask, with_margin, write
from voicemesh.training.loop import LoopSettings, train

RECIPE = IdentityRecipe((1, 1), (8, 8), 6, 4, 4, steps=60, batch_size=16, views=0.3)


def portraits(rng, people: int, pictures: int = 3) -> PortraitShard:
    """Everybody has a colour, and every picture its own brightness."""
    person = np.arange(people).repeat(pictures)
    colour = rng.uniform(40, 200, (people, 3))[person]
    bright = rng.uniform(0.85, 1.15, (len(person), 1))
    pixels = np.clip(colour * bright, 0, 255).astype(np.uint8)
    rows = len(person)
    return PortraitShard(
        np.broadcast_to(pixels[:, None, None], (rows, 16, 16, 3)).copy(),
        person,
        np.tile(np.arange(pictures), people),
        (colour[:, :2] / 60 - 2).astype(np.float32),
        *(np.zeros((rows, n), np.float32) for n in (1,)),
        np.zeros((rows, 3, 4), np.float32),
        *(np.zeros((rows, n), np.float32) for n in (1, 1, 3)),
    )


def test_people_it_never_saw_are_told_apart(rng, tmp_path):
    shard = portraits(rng, 40)
    task = IdentityTask(RECIPE, shard, np.arange(30, 40))
    assert task.people.tolist() == list(range(30))
    settings = LoopSettings(RECIPE.steps, log_every=20, validate_every=20)
    best = train(task, RECIPE, tmp_path, settings)
    assert best["auc"] > 0.8 and best["people"] == 10
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["arc"] for line in lines if "arc" in line]
    assert losses[-1] < losses[0] - 0.3


def test_a_batch_shows_everybody_twice_in_different_pictures(rng):
    shard = portraits(rng, 20)
    shard.shape_params[:, 0] = np.arange(60)  # which picture it is
    task = IdentityTask(RECIPE, shard, np.array([3]))
    rows = task.batch(rng)["shape"][:, 0].numpy().astype(int).reshape(2, -1)
    assert rows.shape[1] == 8 and (rows[0] != rows[1]).all()
    assert (rows[0] // 3 == rows[1] // 3).all() and len(set(rows[0] // 3)) == 8
    assert 3 not in rows // 3
    with pytest.raises(ValueError, match="two of each"):
        IdentityTask(RECIPE, portraits(rng, 5, 1), np.array([3]))


def test_the_margin_rises_and_then_stays(rng):
    task = IdentityTask(RECIPE, portraits(rng, 6), np.array([5]))
    assert float(task.batch(rng)["margin"][0]) == 0
    task.optimiser.step()
    for _ in range(40):
        task.schedule.step()
    assert float(task.batch(rng)["margin"][0]) == pytest.approx(RECIPE.margin)


def test_the_margin_turns_the_right_person_away():
    angle = torch.tensor([[0.4, 1.0], [2.0, 3.1]])
    person = torch.tensor([1, 1])
    wider = with_margin(angle.cos(), person, 0.3).arccos()
    torch.testing.assert_close(wider[:, 0], angle[:, 0])
    assert float(wider[0, 1]) == pytest.approx(1.3, abs=1e-4)
    assert float(wider[1, 1]) == pytest.approx(torch.pi, abs=1e-3)  # not beyond half a turn


def test_a_run_becomes_a_part_of_a_bundle(rng, tmp_path):
    shard = portraits(rng, 12)
    task = IdentityTask(RECIPE, shard, np.arange(10, 12))
    recipe = replace(RECIPE, steps=2)
    run = tmp_path / "run"
    train(task, recipe, run, LoopSettings(2, log_every=1, validate_every=2))

    told = write(run, shard, BundleWriter(tmp_path / "bundle", "small"))
    bundle = Bundle.open(tmp_path / "bundle")
    part = bundle.part("identity-encoder")
    assert part.results["people"] == 12 and "auc" in told
    assert part.training == "2 steps on rendered portraits of synthetic people"
    features = Identity(bundle.net("identity-encoder"))(torch.rand(2, 3, 16, 16))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    with pytest.raises(ValueError, match="train until the first validation"):
        write(tmp_path, shard, BundleWriter(tmp_path / "bundle", "small"))
