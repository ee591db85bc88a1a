"""The loop on a small regression: it learns, it resumes exactly, it guards its folder."""

import json
from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from voicemesh.training.loop import LoopSettings, precisely, read_metrics, train
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
