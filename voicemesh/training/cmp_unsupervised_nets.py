"""What is trained without pairs of voices and faces: recipes, generator, judge and student."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.mesh.basel import MICROMETRES
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.cmp import EmbeddingClassifier, FaceEmbedder, FaceGenerator
from voicemesh.nets.synergynet import Pose, Regression, SynergyNet, crop_of
from voicemesh.systems.cmp import shape_gram, squared_distance

from .distillation import distillation, judged, mesh_triplet, recognised
from .loop import Batch

LENGTH = 8.0  # of the vectors that are compared among a batch
POINTS = 1500  # vertices of the meshes that are compared, evenly over the head
GAME = ("adversarial", "identity", "judging", "knowing")


@dataclass(frozen=True)
class UnsupervisedRecipe:
    """Unsupervised Cross-Modal Perceptionist; the defaults are the published run."""

    generator: tuple[int, ...] = (1024, 512, 256, 128, 64)
    critic: tuple[int, ...] = (32, 64, 128, 256, 512)
    noise: float = 0.05  # standard deviation, added to the unit embedding
    frontal: bool = False  # portraits at rest and straight ahead alone
    size: int = 128  # of the portraits, which are averaged down to SIDE
    partial: bool = False  # take portraits that are still being made, as far as they are
    steps: int = 50_000
    batch_size: int = 64
    learning_rate: float = 2e-4  # Adam, betas (0.5, 0.999)
    critic_rate: float = 1.0  # times the learning rate
    student_rate: float = 1.0
    decay: bool = False  # of the rates, to zero over the second half
    student_from_teacher: bool = False
    among_batch: bool = False
    adversarial_weight: float = 1.0
    identity_weight: float = 1.0
    mesh_weight: float = 0.5
    pkt_weight: float = 10_000.0
    triplet_weight: float = 1.5
    picture_weight: float = 0.0
    reading_weight: float = 0.0  # of the squared error over that of the mean face
    start: str = ""  # folder of a run whose nets are gone on with
    teacher: str = ""  # folder of a run of cmp-teacher; without it the teacher of the bundle
    seed: int = 0


BUNDLE = UnsupervisedRecipe(
    generator=(256, 128, 64, 32, 16),
    critic=(16, 32, 64, 128, 256),
    frontal=True,
    steps=1000,
    batch_size=32,
    learning_rate=1e-3,
    critic_rate=0.2,
    student_rate=0.2,
    decay=True,
    student_from_teacher=True,
    among_batch=True,
    adversarial_weight=0.03,
    identity_weight=0.05,
    mesh_weight=0.02,
    pkt_weight=100.0,
    triplet_weight=0.0,
    picture_weight=4.0,
    reading_weight=1.0,
)
# The bundle went on like this from a run of the recipe above: the judge was too good for so short
# a game and blotched the images.
POLISH = replace(
    BUNDLE, steps=600, adversarial_weight=0.0, identity_weight=0.0, picture_weight=60.0
)


class Judge(nn.Module):
    """A face to the score that it is real, and to whose it is."""

    def __init__(self, widths: tuple[int, ...], embedding: int, classes: int) -> None:
        super().__init__()
        self.embedder = FaceEmbedder(widths=widths, embedding=embedding)
        self.critic = EmbeddingClassifier(embedding)
        self.classifier = EmbeddingClassifier(embedding, classes)

    def forward(
        self, faces: Float[Tensor, "batch 3 side side"]
    ) -> tuple[Float[Tensor, "batch 1"], Float[Tensor, "batch classes"]]:
        """Scores, and logits of the identity or the direction of the voice."""
        told = self.embedder(faces)
        return self.critic(told), self.classifier(told)

    def held_still(
        self, faces: Float[Tensor, "batch 3 side side"]
    ) -> tuple[Float[Tensor, "batch 1"], Float[Tensor, "batch classes"]]:
        """The same; gradients reach the faces alone."""
        weights = {name: value.detach() for name, value in self.named_parameters()}
        return functional_call(self, weights, (faces,))


class UnsupervisedNets(nn.Module):
    """Generator, judge and student, trained together; the teacher stands by."""

    def __init__(
        self,
        recipe: UnsupervisedRecipe,
        teacher: SynergyNet,
        face_model: MorphableModel,
        embedding: int,
        people: int,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.generator = FaceGenerator(embedding, recipe.generator)
        self.judge = Judge(recipe.critic, embedding, embedding if recipe.among_batch else people)
        self.student = SynergyNet(**arguments_of(teacher))
        self.student.pose_mean.copy_(teacher.pose_mean)
        self.student.pose_deviation.copy_(teacher.pose_deviation)
        if recipe.student_from_teacher:
            self.student.load_state_dict(teacher.state_dict())
        for net in (self.generator, self.judge, self.student):
            net.to(memory_format=torch.channels_last)
        self.teacher = teacher.requires_grad_(False)
        some = torch.linspace(0, len(face_model.mean) - 1, POINTS).long().unique()
        fixed = {
            "gram": shape_gram(face_model),
            "rest": face_model.vertices(torch.zeros(face_model.shape_basis.shape[2]))[some],
            "basis": torch.cat(
                [
                    face_model.shape_basis[some] * face_model.shape_deviation,
                    face_model.expression_basis[some] * face_model.expression_deviation,
                ],
                2,
            ),
        }
        for name, value in fixed.items():
            self.register_buffer(name, value, persistent=False)  # known to every run

    def train(self, mode: bool = True) -> "UnsupervisedNets":
        """The teacher never trains."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; "loss" is their weighted sum, of all nets at once."""
        recipe, unit = self.recipe, batch["unit"]
        if self.training and recipe.noise:
            unit = functional.normalize(unit + recipe.noise * torch.randn_like(unit))
        image = self.generator(unit)
        told = self.student(crop_of(image))
        with torch.no_grad():
            taught = self.teacher(crop_of(image))
        mesh = self.meshes(self.student, told)
        learnt = distillation(
            self.meshes(self.teacher, taught),
            mesh,
            (told.pooled, told.middle.flatten(1)),
            (taught.pooled, taught.middle.flatten(1)),
            mesh_weight=recipe.mesh_weight,
            pkt_weight=recipe.pkt_weight,
        )
        shape, _ = self.student.face_params(told.params)
        game = dict.fromkeys(GAME, image.new_zeros(()))
        if recipe.adversarial_weight or recipe.identity_weight:
            game = self.game(image, batch)
        losses = {
            "adversarial": game["adversarial"],
            "identity": game["identity"],
            "triplet": mesh_triplet(mesh[0::2], mesh[1::2], mesh[0::2].roll(1, 0)),
            "picture": (image - batch["portrait"]).square().mean(),
            "reading": squared_distance(shape - batch["reading"], self.gram).mean()
            / batch["usual"].mean(),
        }
        total = sum(getattr(recipe, f"{name}_weight") * value for name, value in losses.items())
        total = total + learnt.total + game["judging"] + game["knowing"]
        return {
            "loss": total,
            **losses,
            "mesh": learnt.mesh,
            "pooled": learnt.pooled,
            "middle": learnt.middle,
            "judging": game["judging"],
            "knowing": game["knowing"],
        }

    def game(
        self, image: Float[Tensor, "batch 3 side side"], batch: Batch
    ) -> dict[str, Float[Tensor, ""]]:
        """What the judge makes of portraits and images, and what the images make of the judge."""
        scores, owners = self.judge(torch.cat([batch["faces"], image.detach()]))
        fooling, claimed = self.judge.held_still(image)
        faces, voices = len(batch["faces"]), batch["voices"]
        return {
            "adversarial": judged(fooling, True),
            "identity": self.known(claimed, voices, batch["person"]),
            "judging": judged(scores[:faces], True) + judged(scores[faces:], False),
            "knowing": self.known(owners[:faces], voices, batch["owner"]),
        }

    def known(
        self,
        claimed: Float[Tensor, "faces classes"],
        voices: Float[Tensor, "some embedding"],
        people: Int64[Tensor, " faces"],
    ) -> Float[Tensor, ""]:
        """How well it is told whose faces these are, of everyone or of the voices of the batch.

        Nothing can be told of people who are not in the table of everyone.
        """
        if self.recipe.among_batch:
            return recognised(claimed @ (LENGTH * voices.T), people)
        return recognised(claimed, people) if self.training else claimed.new_zeros(())

    def meshes(self, net: SynergyNet, told: Regression) -> Float[Tensor, "batch 3 points"]:
        """Points of the scaled meshes, in pixels of the crop."""
        params = torch.cat(net.face_params(told.params), 1)
        points = self.rest + torch.einsum("vcp,bp->bvc", self.basis, params)
        scale = Pose.of(net.pose_numbers(told.params)).scale
        return (points * (MICROMETRES * scale)[:, None, None]).mT
