"""Generator and discriminators of SF2F as they are trained together, and their recipe."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from voicemesh.latent.losses import pyramid_differences
from voicemesh.nets.sf2f import SpeechFusionToFace, disturbed
from voicemesh.nets.sf2f_critics import BASELINE as BASELINE_CRITIC
from voicemesh.nets.sf2f_critics import IdentityCritic, PatchCritic
from voicemesh.nets.sf2f_facenet import FaceNet

from .loop import Batch, precisely
from .sf2f_data import resolutions
from .sf2f_losses import fooling, perceptual, telling

LEAST_RATE = 1e-3  # of the first one, at the end
# Losses by name; of each the recipe has a weight.
WEIGHTED = ("pixel", "image", "identity", "perceptual", "edges", "hearing")
DOUBLINGS = {64: 3, 128: 4}  # convolutions of a critic, by the side of its images


@dataclass(frozen=True)
class Sf2fRecipe:
    """SF2F; the defaults are the published first stage at 64 pixels."""

    stage: int = 1
    front_end: str = "sf2f"
    voice_widths: tuple[int, ...] = (256, 384, 576, 864)
    embedding: int = 512
    inception: bool = True
    gated: bool = True
    face_widths: tuple[int, ...] = (512, 256, 128, 64, 32)
    large: int = 0  # channels of one more doubling, for images of 128 pixels as well
    critic: int = 64  # channels after its first convolution
    noise: bool = False  # on the embedding: the baseline
    frontal: bool = False  # of portraits, only those at rest that look straight ahead
    size: int = 128  # of the portraits, which are averaged down
    # 12,000 epochs of one draw from each of some 3,000 people; the norms freeze after 10,000, and
    # rates fall from there.
    steps: int = 144_000
    settles: int = 120_000
    warm: int = 0  # steps in which the rates rise
    batch_size: int = 256
    learning_rate: float = 5e-4
    critic_rate: float = 1.0  # times the learning rate
    frames: tuple[int, ...] = (100, 150)  # least and most of a stretch, one number per batch
    segments: int = 20  # of a voice in the second stage
    form: str = "gan"  # or lsgan, wgan
    pixel_weight: float = 10.0
    image_weight: float = 1.0
    identity_weight: float = 0.05
    perceptual_weight: float = 100.0
    edges_weight: float = 0.0
    hearing_weight: float = 0.0
    joins: int = 0  # the step at which discriminators join in
    typical: int = 0  # faces that stand for what voices let expect; 0 is everyone's own
    start: str = ""  # folder of a run whose nets are gone on with: the first stage of a second one
    facenet: str = ""  # published file for the perceptual loss; without it the bundle's
    half: bool = False  # bfloat16 where it may be
    keep_last: bool = False  # the newest net and not the one nearest to the portraits
    validate_every: int = 500
    seed: int = 0


def generator_of(recipe: Sf2fRecipe, channels: int) -> SpeechFusionToFace:
    """The generator that a recipe trains, on features of so many channels."""
    return SpeechFusionToFace(
        channels,
        recipe.voice_widths,
        recipe.embedding,
        recipe.inception,
        recipe.stage == 2,
        recipe.gated,
        recipe.face_widths,
        recipe.large,
    )


class Sf2fNets(nn.Module):
    """Generator and discriminators, trained together; the face network stands by."""

    def __init__(
        self, recipe: Sf2fRecipe, channels: int, people: int, facenet: FaceNet | None, heard: int
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.generator = generator_of(recipe, channels)
        sides = (64, 128)[: 2 if recipe.large else 1]
        self.image_critics = nn.ModuleList(
            PatchCritic(architecture(side, recipe.critic)) for side in sides if recipe.image_weight
        )
        told = (people, BASELINE_CRITIC, False, 0.2) if not recipe.gated else None
        self.identity_critics = nn.ModuleList(
            IdentityCritic(*(told or (people, architecture(side, recipe.critic))))
            for side in sides
            if recipe.identity_weight
        )
        if recipe.hearing_weight:
            self.ear = nn.Linear(recipe.embedding, heard)
        # Out of reach of `parameters` and `state_dict`: every run knows it.
        self._facenet = (facenet.requires_grad_(False).eval(),) if facenet else ()
        if recipe.stage == 2:
            self.requires_grad_(False)
            self.generator.encoder.attn_fuser.requires_grad_(True)
            self.image_critics.requires_grad_(True)
            self.identity_critics.requires_grad_(True)

    def train(self, mode: bool = True) -> "Sf2fNets":
        """The generator of the second stage never changes its norms."""
        super().train(mode)
        if self.recipe.stage == 2:
            self.generator.eval()
        return self

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their weighted sum, of all nets at once."""
        recipe = self.recipe
        if self.training and float(batch["settled"][0]):
            self.generator.eval()
        embedding = self.generator.encoder(batch["voice"])
        noisy = self.training and recipe.noise
        spoken = disturbed(embedding, torch.randn_like(embedding)) if noisy else embedding
        images = [image.float() for image in self.generator.decoder(spoken)]
        targets = resolutions(batch["face"], len(images))
        zero = embedding.new_zeros(()).float()
        losses, critics = dict.fromkeys(WEIGHTED, zero), zero
        for number, (image, target) in enumerate(zip(images, targets, strict=True)):
            found = self.apart(image, target)
            if float(batch["playing"][0]):
                made, told = self.game(number, image, target, batch["person"])
                found, critics = found | made, critics + told
            losses |= {name: losses[name] + value for name, value in found.items()}
        if recipe.hearing_weight:
            with precisely(self.ear(embedding), batch["heard"]) as (ours, theirs):
                losses["hearing"] = (ours - theirs).square().mean()
        total = sum(getattr(recipe, f"{name}_weight") * value for name, value in losses.items())
        # Nets that stand aside take part with nothing, for every process alike.
        idle = 0.0 * sum(p.sum() for p in self.parameters() if p.requires_grad)
        return {"loss": total + critics + idle, **losses, "critics": critics}

    def apart(
        self, image: Float[Tensor, "batch 3 side side"], target: Float[Tensor, "batch 3 side side"]
    ) -> dict[str, Float[Tensor, ""]]:
        """How far images are from portraits, in every way that the recipe asks for."""
        with precisely(image) as (image,):
            found = {"pixel": (image - target).abs().mean()}
            if self.recipe.edges_weight:
                found["edges"] = pyramid_differences(image, target).mean()
        if self._facenet:
            found["perceptual"] = perceptual(self._facenet[0].to(image.device), image, target)
        return found

    def game(
        self,
        number: int,
        image: Float[Tensor, "batch 3 side side"],
        target: Float[Tensor, "batch 3 side side"],
        person: Tensor,
    ) -> tuple[dict[str, Float[Tensor, ""]], Float[Tensor, ""]]:
        """What the discriminators of one resolution make of images and portraits.

        First what the generator loses, with the discriminators held still, then what they lose.
        """
        made, told, form = {}, image.new_zeros(()), self.recipe.form
        if len(self.image_critics):
            critic = self.image_critics[number]
            made["image"] = fooling(held_still(critic, image).float(), form)
            real, fake = critic(target).float(), critic(image.detach()).float()
            told = told + telling(real, fake, form)
        if len(self.identity_critics):
            critic = self.identity_critics[number]
            scores, owners = (logits.float() for logits in held_still(critic, image))
            known = functional.cross_entropy(owners, person)
            made["identity"] = fooling(scores, form) + known
            real, owners = (logits.float() for logits in critic(target))
            fake = critic(image.detach())[0].float()
            told = told + telling(real, fake, form) + functional.cross_entropy(owners, person)
        return made, told


def architecture(side: int, width: int) -> str:
    """The published description of a critic for images of this side, of other widths."""
    return ",".join(f"C4-{width << number}-2" for number in range(DOUBLINGS[side]))


def held_still(net: nn.Module, image: Float[Tensor, "batch 3 side side"]) -> Tensor | tuple:
    """What a net says; gradients reach the image alone."""
    weights = {name: value.detach() for name, value in net.named_parameters()}
    return functional_call(net, weights, (image,))


def optimiser_of(
    recipe: Sf2fRecipe, net: Sf2fNets
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam; all rates but that of the identity critics fall once the norms are frozen."""
    rate = recipe.learning_rate
    makers = [net.generator, *([net.ear] if recipe.hearing_weight else [])]
    groups = [
        {"params": [p for part in makers for p in part.parameters() if p.requires_grad]},
        {"params": list(net.image_critics.parameters()), "lr": rate * recipe.critic_rate},
        {"params": list(net.identity_critics.parameters()), "lr": rate * recipe.critic_rate},
    ]
    optimiser = torch.optim.Adam([group for group in groups if group["params"]], lr=rate)

    def warmed(step: int) -> float:
        return min(1.0, (step + 1) / recipe.warm) if recipe.warm else 1.0

    def falling(step: int) -> float:
        past = max(0, step - recipe.settles) / max(1, recipe.steps - recipe.settles)
        return warmed(step) * (1 - min(past, 1.0) * (1 - LEAST_RATE))

    rates = [falling, falling, warmed]
    used = [rate for rate, group in zip(rates, groups, strict=True) if group["params"]]
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, used)
