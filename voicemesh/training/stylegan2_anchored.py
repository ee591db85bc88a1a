"""The players of an anchored run: fine detail is learnt from a critic, all else from portraits.

Most of a batch are portraits whose parameters are known: the generator is to make these very
pictures. The others are of Gaussian z, so that samples are judged as well. One pass of the
generator serves both players.
"""

from pathlib import Path

from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.latent.losses import (
    colour_differences,
    face_weight,
    loose_differences,
    pyramid_differences,
    texture_differences,
)
from voicemesh.nets.devices import halved
from voicemesh.nets.portrait_critic import PortraitCritic
from voicemesh.nets.stylegan2 import Generator
from voicemesh.nets.stylegan2_half import half_images, mapped

from .loop import newest_state, precisely
from .stylegan2_losses import average, critic_loss, ema_decay, gradient_penalty
from .stylegan2_players import Players, StyleGan2Recipe
from .stylegan2_strands import begin_strands, learn_maps
from .stylegan2_told import ToldCritic

TOLD = "patches."  # what names of a critic begin with that is told whom it sees
STRANGER = 0.3  # weight of true pictures of others
CRITIC = "model_1.safetensors"  # in a written state
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


def held_critic(run: Path) -> dict[str, Tensor]:
    """The critic of the newest state of an anchored run.

    Raises:
        ValueError: the run has written none.
    """
    found = newest_state(run)
    if found is None:
        raise ValueError(f"{run} holds no state to go on with; train it until one is written")
    tensors = load_file(found[0] / CRITIC)
    told = {k.removeprefix(TOLD): v for k, v in tensors.items() if k.startswith(TOLD)}
    return told or tensors


class AnchoredPlayers(Players):
    """Players whose generator knows what it is to paint."""

    def _nets(self, generator: Generator, recipe: StyleGan2Recipe) -> tuple[nn.Module, nn.Module]:
        portraitist = Portraitist(generator, recipe.half)
        self.parameters = portraitist.means.nonzero()[:, 0]
        shape = recipe.critic_width, recipe.critic_scales
        critic = ToldCritic(*shape, len(self.parameters)) if recipe.told else PortraitCritic(*shape)
        if recipe.after:
            patches = critic.patches if isinstance(critic, ToldCritic) else critic
            patches.load_state_dict(held_critic(Path(recipe.after)))
        for one in (generator, self.average) if recipe.maps else ():
            learn_maps(one)
        self.average.requires_grad_(False)
        return portraitist, critic

    def begin_maps(self, pictures: Float[Tensor, "pictures 3 _ _"]) -> None:
        """Noise maps as hair flows in pictures, of the player and of the average."""
        player = self.accelerator.unwrap_model(self.player).generator
        begin_strands(player, pictures)
        self.average.load_state_dict(player.state_dict())

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
        parameters = known[:own, self.parameters] if recipe.told else None
        patches = self._scores(fake, parameters)
        heard = 1 / face_weight(patches.shape[2], recipe.faces).to(patches.device)
        fooled = (functional.softplus(-patches) * heard).mean()
        losses = {"generator": recipe.adversarial / more * fooled}
        anchors = self._anchors(fake[:own], real[:own])
        losses |= {name: more * value for name, value in anchors.items()}
        if self.accelerator.num_processes > 1:  # all parameters take part, for all alike
            losses["idle"] = sum(p.sum() for p in self.player.parameters()) * 0.0
        told = self._descend(self.player_adam, losses)
        self.critic.requires_grad_(True)
        sides = real, fake.detach()
        others = None if parameters is None else parameters.roll(1, 0)
        found = self._scores(sides[0], parameters, others), self._scores(sides[1], parameters)
        scores = [side[: len(real)].flatten()[:, None] for side in found]
        losses = {"critic": critic_loss(*scores)}
        if others is not None:  # a true picture of somebody else is wrong as well
            losses["stranger"] = STRANGER * functional.softplus(found[0][len(real) :]).mean()
        told |= self._descend(self.critic_adam, losses)
        means = (float(side.detach().mean()) for side in scores)
        told |= dict(zip(("real_score", "fake_score"), means, strict=True))
        if recipe.r1 and step % recipe.r1_every == 0:
            seen = real.clone().requires_grad_()
            more_told = () if parameters is None else (parameters,)
            patches = self.critic(seen, *more_told).flatten(1)
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

    def _scores(
        self,
        images: Float[Tensor, "batch 3 _ _"],
        *told: Float[Tensor, "own _"] | None,
    ) -> Float[Tensor, "all scales _ _"]:
        """Of every patch of every image; `told` are the parameters of the first ones."""
        with halved(images.device, self.recipe.half):
            scores = self.critic(images, *(one for one in told if one is not None))
        return scores.float()

    def _anchors(
        self, fake: Float[Tensor, "own 3 _ _"], real: Float[Tensor, "own 3 _ _"]
    ) -> dict[str, Float[Tensor, ""]]:
        """How far images are from the portraits of the same parameters."""
        recipe = self.recipe
        with precisely(fake, real) as (fake, real):
            weight = face_weight(fake.shape[2], recipe.faces).to(fake.device)
            if recipe.hair < 1:
                apart = loose_differences(fake, real, recipe.faces, recipe.hair).mean()
            else:
                apart = ((fake - real).abs() * weight).mean()
                apart = apart + pyramid_differences(fake, real, weight=weight).mean()
            texture = texture_differences(fake, real, weight=weight).mean()
            colour = colour_differences(fake, real).mean()
        losses = {"anchor": recipe.anchor * apart, "texture": recipe.texture * texture}
        return losses | {"colour": recipe.colour * colour}
