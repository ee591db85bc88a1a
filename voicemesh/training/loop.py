"""The one training loop: any number of processes, exact resume, one JSON line per event."""

import json
import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Float, Shaped
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from voicemesh.nets.devices import halved
from voicemesh.whole_files import aside, write_json, write_whole

log = logging.getLogger(__name__)

BEST = "best.safetensors"  # of a run: the net that was best at a validation
DONE = "done.json"  # of a state: written last
Batch = dict[str, Shaped[Tensor, "..."]]


@runtime_checkable
class Task(Protocol):
    """What a recipe brings to the loop. `net(batch)` returns its losses by name.

    The loss that is followed is the entry "loss"; the others are only logged. A batch is a pure
    function of its generator, and the generator of (seed, step, process): resuming needs no more.
    With LoopSettings.half the net trains under autocast: convolutions and matrix products give
    bfloat16 then, and losses should be taken of what `precisely` makes of that.
    """

    net: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler

    def batch(self, rng: np.random.Generator) -> Batch: ...

    def validate(self, device: torch.device) -> dict[str, float]:
        """Measures on validation data; "selection" decides which net is kept, low is good."""
        ...


@dataclass(frozen=True)
class LoopSettings:
    """How long to train and how often to look."""

    steps: int
    seed: int = 0
    log_every: int = 50  # the clock is looked at and a run stops only at such a step
    validate_every: int = 500  # a multiple of log_every
    minutes: float = float("inf")  # stop after this long; running again goes on
    half: bool = False  # forward passes of training in bfloat16 where they may be


def train(task: Task, recipe: Any, folder: Path, settings: LoopSettings) -> dict[str, float]:
    """Train until the last step or the last minute; return the best validation so far.

    The folder holds recipe.json, metrics.jsonl, the newest state-<step> and best.safetensors.
    Calling again with the same folder and recipe goes on from the newest state, to the same
    result as an unbroken run.

    Raises:
        ValueError: the folder holds a run of another recipe.
    """
    accelerator = Accelerator()
    main = accelerator.is_main_process
    if main:
        folder.mkdir(parents=True, exist_ok=True)
        claim(folder, recipe, settings)
    accelerator.wait_for_everyone()
    net, optimiser = accelerator.prepare(task.net, task.optimiser)
    step, best = _resume(accelerator, task, folder)
    journal = Journal(folder / "metrics.jsonl", step) if main else None
    started = time.monotonic()
    sums: dict[str, float] = {}
    bar = tqdm(total=settings.steps, initial=step, unit="step", disable=not main or None)
    net.train()
    while step < settings.steps:
        _add(sums, _learn(accelerator, task, net, optimiser, settings, step))
        step += 1
        bar.update()
        if step % settings.log_every and step < settings.steps:
            continue
        if journal:
            seen = step % settings.log_every or settings.log_every  # fewer before the last step
            means = {name: value / seen for name, value in sums.items()}
            rate = task.schedule.get_last_lr()[0]
            journal.write({"step": step, **means, "learning_rate": rate})
            bar.set_postfix(loss=f"{means['loss']:.3f}")
        sums = {}
        if time.monotonic() - started > 60 * settings.minutes:
            accelerator.set_trigger()  # one process's clock stops all
        late = accelerator.check_trigger()
        if step % settings.validate_every == 0 or step == settings.steps:
            best = _validate(accelerator, task, net, folder, journal, step, best)
            _save(accelerator, task, folder, step, best)
        elif late:
            _save(accelerator, task, folder, step, best)
        if late:
            log.info("stopped at step %d of %d; run again to go on", step, settings.steps)
            break
    bar.close()
    return best


@contextmanager
def precisely(*values: Float[Tensor, "..."]) -> Iterator[tuple[Float[Tensor, "..."], ...]]:
    """The values in float32, and what is computed of them inside the block as well."""
    with torch.autocast(values[0].device.type, enabled=False):
        yield tuple(value.float() for value in values)


class Journal:
    """metrics.jsonl: one object per line; lines after the resumed step are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        kept = [line for line in read_metrics(path) if line["step"] <= step]
        write_whole(path, "".join(json.dumps(line) + "\n" for line in kept))

    def write(self, entry: Mapping[str, float]) -> None:
        """Append one line."""
        with self.path.open("a") as file:
            file.write(json.dumps({k: _short(v) for k, v in entry.items()}) + "\n")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The lines of a metrics.jsonl; a torn last line, of a run that was killed, is left out."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.endswith("}"):
            lines.append(json.loads(line))
    return lines


def mean_losses(
    net: nn.Module, batches: Iterable[tuple[int, Batch]], device: torch.device
) -> dict[str, float]:
    """Losses by name, as means over the rows of all batches; each comes with how many it has."""
    sums: dict[str, float] = {}
    total = 0
    for rows, batch in batches:
        for name, value in net({k: v.to(device) for k, v in batch.items()}).items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) * rows
        total += rows
    return {name: value / total for name, value in sums.items()}


def claim(folder: Path, recipe: Any, settings: LoopSettings) -> None:
    """Write recipe.json, or compare with the one that is there."""
    values = asdict(recipe) if is_dataclass(recipe) and not isinstance(recipe, type) else recipe
    wanted = json.loads(json.dumps({"recipe": values, "seed": settings.seed}))
    path = folder / "recipe.json"
    if not path.exists():
        write_json(path, wanted)
        return
    found = json.loads(path.read_text())
    if found != wanted:
        keys = sorted(set(found["recipe"]) | set(wanted["recipe"]))
        other = [k for k in keys if found["recipe"].get(k) != wanted["recipe"].get(k)]
        raise ValueError(
            f"{folder} holds a run of another recipe (it differs in {', '.join(other) or 'seed'});"
            " choose another folder, or the recipe of its recipe.json"
        )


def seed_step(seed: int, step: int, process: int) -> np.random.Generator:
    """Seed PyTorch for one step of one process and return the generator of its batch."""
    dropout, batch = np.random.SeedSequence([seed, step, process]).spawn(2)
    torch.manual_seed(int(dropout.generate_state(1, np.uint64)[0] >> 1))
    return np.random.default_rng(batch)


def _learn(
    accelerator: Accelerator,
    task: Task,
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    settings: LoopSettings,
    step: int,
) -> Mapping[str, Float[Tensor, ""]]:
    """One step of training; its losses."""
    rng = seed_step(settings.seed, step, accelerator.process_index)
    batch = {name: value.to(accelerator.device) for name, value in task.batch(rng).items()}
    with halved(accelerator.device, settings.half):
        losses = net(batch)
    accelerator.backward(losses["loss"])
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    task.schedule.step()
    return losses


def _add(sums: dict[str, float], losses: Mapping[str, Float[Tensor, ""]]) -> None:
    for name, value in losses.items():
        sums[name] = sums.get(name, 0.0) + float(value.detach())


def _validate(
    accelerator: Accelerator,
    task: Task,
    net: nn.Module,
    folder: Path,
    journal: Journal | None,
    step: int,
    best: dict[str, float],
) -> dict[str, float]:
    """Measure on the main process; keep the net when it is the best so far."""
    if journal is None:
        return best
    net.eval()
    with torch.inference_mode():
        measured = task.validate(accelerator.device)
    net.train()
    journal.write({"step": step, **{f"validation/{k}": v for k, v in measured.items()}})
    if measured["selection"] >= best.get("selection", float("inf")):
        return best
    state = {k: v.contiguous().cpu() for k, v in accelerator.unwrap_model(net).state_dict().items()}
    with aside(folder / BEST) as unfinished:
        save_file(state, unfinished)
    return {"step": step, **measured}


def _save(
    accelerator: Accelerator, task: Task, folder: Path, step: int, best: dict[str, float]
) -> None:
    """Write state-<step>; half a state is never taken for one."""
    state = folder / f"state-{step}"
    accelerator.wait_for_everyone()
    accelerator.save_state(str(state), safe_serialization=True)
    if accelerator.is_main_process:
        torch.save(task.schedule.state_dict(), state / "schedule.pt")
        close_state(state, {"step": step, "best": best})
    accelerator.wait_for_everyone()


def close_state(state: Path, told: Mapping[str, Any]) -> None:
    """Say that a state is written to its end, and drop the older ones of its run."""
    write_whole(state / DONE, json.dumps(told))
    for older in state.parent.glob("state-*"):
        if older != state:
            shutil.rmtree(older)


def newest_state(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest state that was written to its end, and what it says."""
    done = {int(path.parent.name.split("-")[1]): path for path in folder.glob(f"state-*/{DONE}")}
    if not done:
        return None
    newest = done[max(done)]
    return newest.parent, json.loads(newest.read_text())


def _resume(accelerator: Accelerator, task: Task, folder: Path) -> tuple[int, dict[str, float]]:
    """Load the newest complete state, if there is one."""
    found = newest_state(folder)
    if found is None:
        return 0, {}
    state, told = found
    accelerator.load_state(str(state))
    task.schedule.load_state_dict(torch.load(state / "schedule.pt", weights_only=True))
    return told["step"], told["best"]


def _short(value: float) -> float:
    return float(f"{value:.6g}") if isinstance(value, float) else value
