"""The nets of Cross-Modal Perceptionist as they are trained together, and their losses."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder, VoiceTraits
from voicemesh.population.tables import LENGTH_LAW, VOICE

from .cmp_recipe import CmpRecipe
from .loop import Batch, precisely
from .losses import session_triplet, weighted_error

LAYER = 3  # modules of one layer of the voice encoder
LITTLE = 0.01  # weight of the parameters that nothing is to be said about


class CmpNets(nn.Module):
    """The three nets that are trained together, and their losses."""

    def __init__(self, recipe: CmpRecipe, face_model: MorphableModel, channels: int) -> None:
        super().__init__()
        weights = parameter_weights(face_model)
        shapes, expressions = (
            basis.shape[2] for basis in (face_model.shape_basis, face_model.expression_basis)
        )
        self.recipe = recipe
        self.voice = VoiceEncoder(channels, recipe.widths, recipe.embedding)
        self.head = SupervisedHead(recipe.embedding, shapes, expressions, recipe.dropout)
        self.traits = VoiceTraits(recipe.embedding)
        # in training alone
        asked = {"measures": len(LENGTH_LAW) + 1, "habits": len(VOICE), "effort": 2}
        self.asked = nn.ModuleDict(
            {
                name: nn.Linear(recipe.embedding, outputs)
                for name, outputs in asked.items()
                if getattr(recipe, f"{name}_weight")
            }
        )
        self.register_buffer("weights", weights, persistent=False)  # known to every run
        self.voice.model[: LAYER * recipe.kept_layers].requires_grad_(False)

    def train(self, mode: bool = True) -> "CmpNets":
        """As every net; where layers are kept, the voice encoder's batch moments stay as well."""
        super().train(mode)
        if self.recipe.kept_layers:
            self.voice.eval()
        return self

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their weighted sum."""
        codes = self.voice(batch["features"])
        with precisely(codes) as (codes,):
            unit = functional.normalize(codes)
            if self.training and self.recipe.noise:
                unit = functional.normalize(unit + self.recipe.noise * torch.randn_like(unit))
            return self.losses(unit, batch)

    def losses(
        self, unit: Float[Tensor, "batch embedding"], batch: Batch
    ) -> dict[str, Float[Tensor, ""]]:
        """Losses of embeddings."""
        recipe, traits, told = self.recipe, batch["traits"], self.traits(unit)
        pitch, tract, age = (told[:, 1:] - traits[:, 1:]).square().mean(0).unbind()
        losses = {
            "shape": weighted_error(self.head(unit), batch["parameters"], self.weights),
            "sex": functional.binary_cross_entropy_with_logits(told[:, 0], traits[:, 0]),
            "pitch": pitch,
            "tract": tract,
            "age": age,
        }
        for name, layer in self.asked.items():
            losses[name] = (layer(unit) - batch[name]).square().mean()
        if recipe.triplet_weight:
            losses["triplet"] = session_triplet(unit, batch["identity"], recipe.triplet_margin)
        total = sum(getattr(recipe, f"{name}_weight") * value for name, value in losses.items())
        wrong = (told[:, 0] > 0) != (traits[:, 0] > 0.5)
        return {"loss": total, **losses, "sex_wrong": wrong.float().mean()}


def parameter_weights(face_model: MorphableModel) -> Float[Tensor, " params"]:
    """Shape: the share of each component in the variance of the vertices. Others: a little.

    Scale and expression have the target zero; a small weight is enough to bring them there.
    """
    shares = (face_model.shape_basis * face_model.shape_deviation).square().sum((0, 1)).cpu()
    expressions = face_model.expression_basis.shape[2]
    little = torch.full((expressions,), LITTLE / expressions)
    return torch.cat([torch.tensor([LITTLE]), shares / shares.sum(), little])
