"""The loop on a small regression: it learns, it resumes exactly, it guards its folder."""

import json
from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from voicemesh.training.loop import LoopSettings, precisely, read_metrics, seed_step, train
from voicemesh.training.runs import recipe_of
from voicemesh.training.schedules import one_cycle


@dataclass(frozen=True)
class LineRecipe:
    slope: float = 3.0


class Regression(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.1), nn.Linear(8, 1))

    def forward(self, batch):
        error = (self.layers(batch["x"]) - batch["y"]).square().mean()
        return {"loss": error, "error": error}


class Line:
    """y = slope x."""

    def __init__(self, recipe=LineRecipe(), steps=40):
        torch.manual_seed(5)
        self.net, self.slope = Regression(), recipe.slope
        self.optimiser, self.schedule = one_cycle(self.net.parameters(), steps, 0.05, 0.01)

    def batch(self, rng):
        x = torch.tensor(rng.standard_normal((16, 1)), dtype=torch.float32)
        return {"x": x, "y": self.slope * x}

    def validate(self, device):
        x = torch.linspace(-1, 1, 20)[:, None]
        return {"selection": float(self.net({"x": x, "y": self.slope * x})["loss"])}


def settings(**changes):
    return LoopSettings(**{"steps": 40, "seed": 3, "log_every": 5, "validate_every": 10, **changes})


def test_training_lowers_the_loss(tmp_path):
    best = train(Line(), LineRecipe(), tmp_path, settings())
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if "loss" in line]
    assert lines[-1]["loss"] < 0.3 * lines[0]["loss"]
    assert [line["step"] for line in lines] == list(range(5, 41, 5))
    assert best["step"] in (10, 20, 30, 40) and (tmp_path / "best.safetensors").exists()


def test_training_is_the_plain_loop(tmp_path):
    """Nothing but a step of the optimiser for each batch, with the luck of that step."""
    train(Line(), LineRecipe(), tmp_path, settings())
    task, losses = Line(), []
    task.net.train()
    for step in range(40):
        loss = task.net(task.batch(seed_step(3, step, 0)))["loss"]
        task.net.zero_grad()
        loss.backward()
        task.optimiser.step()
        task.schedule.step()
        losses.append(float(loss.detach()))
    found = load_file(tmp_path / "state-40/model.safetensors")
    for name, value in task.net.state_dict().items():
        torch.testing.assert_close(found[name], value)
    first = read_metrics(tmp_path / "metrics.jsonl")[0]
    assert first["loss"] == pytest.approx(sum(losses[:5]) / 5, rel=1e-4)
    rate = one_cycle(nn.Linear(1, 1).parameters(), 40, 0.05, 0.01)[1]
    for _ in range(5):
        rate.optimizer.step()
        rate.step()
    assert first["learning_rate"] == pytest.approx(rate.get_last_lr()[0], rel=1e-4)


def test_the_last_steps_are_told_as_they_were(tmp_path):
    """As many as there are, though fewer than between other lines."""

    class Still(Line):
        def __init__(self):
            super().__init__()
            self.optimiser, self.schedule = one_cycle(self.net.parameters(), 12, 1e-12, 0.0)
            self.net.layers[1].p = 0.0

        def batch(self, rng):
            x = torch.ones(4, 1)
            return {"x": x, "y": x}

    train(Still(), LineRecipe(), tmp_path, settings(steps=12, validate_every=12))
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if "loss" in line]
    assert [line["step"] for line in lines] == [5, 10, 12]
    assert lines[2]["loss"] == pytest.approx(lines[0]["loss"], rel=1e-3)


def test_the_best_net_is_kept_and_validated_at_rest(tmp_path):
    class Judged(Line):
        def __init__(self):
            super().__init__()
            self.worth, self.states = [3.0, 1.0, 2.0, 1.0], []

        def validate(self, device):
            assert not self.net.training and not torch.is_grad_enabled()
            self.states.append({k: v.clone() for k, v in self.net.state_dict().items()})
            return {"selection": self.worth[len(self.states) - 1]}

    task = Judged()
    assert train(task, LineRecipe(), tmp_path, settings()) == {"step": 20, "selection": 1.0}
    found = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(found[name], value) for name, value in task.states[1].items())
    assert task.net.training


def test_a_state_that_was_not_finished_is_not_gone_on_from(tmp_path):
    train(Line(), LineRecipe(), tmp_path, settings(minutes=-1))
    (tmp_path / "state-35").mkdir()
    train(Line(), LineRecipe(), tmp_path, settings(minutes=-1))
    assert [path.name for path in tmp_path.glob("state-*")] == ["state-10"]
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")][:2] == [5, 10]


def test_a_stopped_run_resumes_exactly(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(Line(), LineRecipe(), whole, settings())
    for _ in range(8):  # each stops at the first look at its clock
        train(Line(), LineRecipe(), parts, settings(minutes=-1))
    assert json.loads((parts / "state-40/done.json").read_text())["step"] == 40
    a, b = (load_file(folder / "state-40/model.safetensors") for folder in (whole, parts))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert read_metrics(whole / "metrics.jsonl") == read_metrics(parts / "metrics.jsonl")


def test_a_finished_run_is_left_alone(tmp_path):
    best = train(Line(), LineRecipe(), tmp_path, settings())
    before = (tmp_path / "metrics.jsonl").read_text()
    assert train(Line(), LineRecipe(), tmp_path, settings()) == best
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_lines_after_the_resumed_step_are_dropped(tmp_path):
    train(Line(), LineRecipe(), tmp_path, settings(minutes=-1))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 10, "loss": 1.0}\n{"step": 11, "lo')  # killed while writing
    train(Line(), LineRecipe(), tmp_path, settings(minutes=-1))
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")][:2] == [5, 10]


def test_a_folder_of_another_recipe_is_refused(tmp_path):
    train(Line(), LineRecipe(), tmp_path, settings(minutes=-1))
    with pytest.raises(ValueError, match=r"another recipe \(it differs in slope\)"):
        train(Line(), LineRecipe(slope=4.0), tmp_path, settings())
    with pytest.raises(ValueError, match=r"another recipe \(it differs in seed\)"):
        train(Line(), LineRecipe(), tmp_path, settings(seed=4))


def test_a_run_tells_its_recipe_once_it_was_validated(tmp_path):
    with pytest.raises(ValueError, match="train until the first validation"):
        recipe_of(tmp_path, LineRecipe)
    train(Line(), LineRecipe(slope=2.0), tmp_path, settings())
    path = tmp_path / "recipe.json"
    told = json.loads(path.read_text())
    told["recipe"]["forgotten"] = 1
    path.write_text(json.dumps(told))
    assert recipe_of(tmp_path, LineRecipe) == LineRecipe(2.0)


class Watched(Regression):
    """Notes what its layers give, and what the loss is computed in."""

    def forward(self, batch):
        told = self.layers(batch["x"])
        with precisely(told) as (exact,):
            error = (exact @ exact.new_ones(1, 1) - batch["y"]).square().mean()
        self.kinds = told.dtype, error.dtype, self.layers[0].weight.dtype
        return {"loss": error}


@pytest.mark.parametrize("half", [False, True])
def test_half_trains_in_bfloat16_but_loses_and_validates_in_float32(half, tmp_path):
    class Task(Line):
        trained = ()

        def batch(self, rng):
            self.trained = getattr(self.net, "kinds", ())
            return super().batch(rng)

    task = Task()
    task.net = Watched()
    task.optimiser, task.schedule = one_cycle(task.net.parameters(), 40, 0.05, 0.01)
    train(task, LineRecipe(), tmp_path, settings(half=half, validate_every=40))
    whole = torch.float32
    assert task.trained == (torch.bfloat16 if half else whole, whole, whole)
    assert task.net.kinds == (whole, whole, whole)  # of the validation after the last step
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if "loss" in line]
    assert lines[-1]["loss"] < 0.3 * lines[0]["loss"]
