"""How a learning rate rises, stays and falls."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

SLACK = 0.15  # of a step: a rise may be one step long


class HeldCycle(OneCycleLR):
    """One cycle that stays at its peak for some time before it falls.

    `rise` and `hold` are the shares of the steps until the peak and at it.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        peak: float,
        steps: int,
        rise: float,
        hold: float = 0.0,
    ) -> None:
        self.rising, self.held = round(rise * steps), round(hold * steps)
        if not 0 < self.rising < steps - self.held:
            raise ValueError(
                f"A rise of {rise:g} and a hold of {hold:g} leave no room in {steps} steps: a rise"
                " takes a step at least, and so does the fall"
            )
        moving = steps - self.held + 1
        share = (self.rising + SLACK) / moving
        super().__init__(optimizer, peak, total_steps=moving, pct_start=share)

    def get_lr(self) -> list[float]:
        """The rate at this step: as if the steps at the peak were not counted."""
        now = self.last_epoch
        self.last_epoch = now - min(self.held, max(0, now - self.rising))
        try:
            return super().get_lr()
        finally:
            self.last_epoch = now


def one_cycle(
    parameters: Iterator[nn.Parameter], steps: int, peak: float, weight_decay: float
) -> tuple[torch.optim.Optimizer, OneCycleLR]:
    """AdamW with a rate that rises to `peak` over the first 15 % of the steps and falls to 0."""
    optimiser = torch.optim.AdamW(parameters, lr=peak, weight_decay=weight_decay)
    return optimiser, OneCycleLR(optimiser, peak, total_steps=steps + 1, pct_start=0.15)


def held_cycle(
    parameters: Iterator[nn.Parameter],
    steps: int,
    peak: float,
    weight_decay: float,
    rise: float = 0.15,
    hold: float = 0.0,
) -> tuple[torch.optim.Optimizer, HeldCycle]:
    """AdamW with a rate that rises from a little to `peak`, stays, and falls to 0."""
    optimiser = torch.optim.AdamW(parameters, lr=peak, weight_decay=weight_decay)
    return optimiser, HeldCycle(optimiser, peak, steps, rise, hold)
