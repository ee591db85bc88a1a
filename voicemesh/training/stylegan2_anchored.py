"""The players of an anchored run: fine detail is learnt from a critic, all else from portraits.

Most of a batch are portraits whose parameters are known: the generator is to make these very
pictures. The others are of Gaussian z, so that samples are judged as well. One pass of the
generator serves both players.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.latent.losses import (
    colour_differences,
    face_weight,
    pyramid_differences,
    texture_differences,
)
from voicemesh.nets.devices import halved
from voicemesh.nets.portrait_critic import PortraitCritic
from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.stylegan2_half import half_images, mapped

from .loop import precisely
from .stylegan2_losses import average, critic_loss, ema_decay, gradient_penalty
from .stylegan2_players import Players, StyleGan2Recipe

BETAS = 0.5, 0.99  # of both: a generator that is told what to paint gains from momentum


class Portraitist(nn.Module):
    """Whole z to images, with the net's own noise."""

    def __init__(self, generator: Generator, half: bool) -> None:
        super().__init__()
        self.generator, self.half = generator, half
        self.register_buffer("means", generator.style[1].weight.detach().any(0), persistent=False)

    def forward(
        self, z: Float[Tensor, "batch style"], size: int, still: bool = False
    ) -> Float[Tensor, "batch 3 size size"]:
        """The images of z without what means nothing, which need no normalisation.

        `still` leaves the mapping as it is.
        """
        w = mapped(self.generator.style, z * self.means)
        w = w.detach() if still else w
        if self.half:
            return half_images(self.generator, w, size)
        return self.generator(w, size=size)


class AnchoredPlayers(Players):
    """Players whose generator knows what it is to paint."""

    def _nets(self, generator: Generator, recipe: StyleGan2Recipe) -> tuple[nn.Module, nn.Module]:
        return Portraitist(generator, recipe.half), PortraitCritic(
            recipe.critic_width, recipe.critic_scales
        )

    def iterate(
        self,
        step: int,
        real: Float[Tensor, "batch 3 size size"],
        known: Float[Tensor, "batch style"] | None = None,
    ) -> dict[str, float]:
        """One step of each player, and the penalty if it is due; what was measured, by name."""
        assert known is not None
        recipe = self.recipe
        self._cool(step)
        if step < recipe.growing * recipe.steps:
            real = functional.avg_pool2d(real, 2)
        own = len(real) - round(recipe.loose * len(real))  # the others are of nobody
        settling = step >= (1 - recipe.settling) * recipe.steps
        more = 2.0 if settling else 1.0
        fake = self.player(known, real.shape[2], settling)
        self.critic.requires_grad_(False)
        # Parameters decide a face: the critic is heard least where the anchor counts most.
        patches = self._scores(fake)
        heard = 1 / face_weight(patches.shape[2], recipe.faces).to(patches.device)
        fooled = (functional.softplus(-patches) * heard).mean()
        losses = {"generator": recipe.adversarial / more * fooled}
        anchors = self._anchors(fake[:own], real[:own])
        losses |= {name: more * value for name, value in anchors.items()}
        if self.accelerator.num_processes > 1:  # all parameters take part, for all alike
            losses["idle"] = sum(p.sum() for p in self.player.parameters()) * 0.0
        told = self._descend(self.player_adam, losses)
        self.critic.requires_grad_(True)
        both = self._scores(torch.cat([real, fake.detach()]))
        scores = both.flatten()[:, None].chunk(2)
        told |= self._descend(self.critic_adam, {"critic": critic_loss(*scores)})
        means = (float(side.detach().mean()) for side in scores)
        told |= dict(zip(("real_score", "fake_score"), means, strict=True))
        if recipe.r1 and step % recipe.r1_every == 0:
            seen = real.clone().requires_grad_()
            patches = self.critic(seen).flatten(1)
            penalty = gradient_penalty(patches.sum(1, keepdim=True), seen) / patches.shape[1]
            self._descend(self.critic_adam, {"": recipe.r1 / 2 * recipe.r1_every * penalty})
            told["r1"] = float(penalty.detach())
        images = len(real) * self.accelerator.num_processes
        limit = recipe.ramp * max(1, step) * images if recipe.ramp else recipe.half_life
        player = self.accelerator.unwrap_model(self.player).generator
        average(self.average, player, ema_decay(images, min(recipe.half_life, limit)))
        return told

    def _cool(self, step: int) -> None:
        """Lower both rates towards the end of the run: detail settles."""
        recipe = self.recipe
        left = (1 - step / recipe.steps) / recipe.cooling if recipe.cooling else 1.0
        rates = recipe.learning_rate, recipe.critic_rate or recipe.learning_rate
        for adam, rate in zip((self.player_adam, self.critic_adam), rates, strict=True):
            for group in adam.param_groups:
                group["lr"], group["betas"] = rate * min(1.0, left), BETAS

    def _scores(self, images: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, "batch scales _ _"]:
        """Of every patch of every image."""
        with halved(images.device, self.recipe.half):
            scores = self.critic(images)
        return scores.float()

    def _anchors(
        self, fake: Float[Tensor, "own 3 _ _"], real: Float[Tensor, "own 3 _ _"]
    ) -> dict[str, Float[Tensor, ""]]:
        """How far images are from the portraits of the same parameters."""
        recipe = self.recipe
        with precisely(fake, real) as (fake, real):
            weight = face_weight(fake.shape[2], recipe.faces).to(fake.device)
            apart = ((fake - real).abs() * weight).mean()
            apart = apart + pyramid_differences(fake, real, weight=weight).mean()
            texture = texture_differences(fake, real, weight=weight).mean()
            colour = colour_differences(fake, real).mean()
        losses = {"anchor": recipe.anchor * apart, "texture": recipe.texture * texture}
        return losses | {"colour": recipe.colour * colour}
