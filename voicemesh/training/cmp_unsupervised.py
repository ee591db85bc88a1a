"""Cross-Modal Perceptionist without pairs of voices and 3D faces: faces are synthesised from voices
by an adversarial game, and a student learns to read them of a teacher that knows photographs.

A voice and a portrait belong together by the name of the person alone; all that is known of 3D
comes from the teacher. Where published training and this differ, each said once:

* The faces of a batch are those of the people of its voices; published, both were drawn apart.
* The voice encoder is frozen; published, it fell into training mode after the first validation.
  Its embeddings are taken of whole recordings, once; the noise on them stays.
* The positive of a triplet is another recording of the same person, the negative one of another
  person; published, neither was sure. All three are rows of one batch, in one pass.
* The teacher is no path of gradients; published, the images were also driven through it.
* Knowledge transfer measures the student against the teacher; published, it was the reverse.
* Critics and makers step at once, of the same state; published, the makers met the new critics.
* Resuming and seeds are exact; published, half the nets were never saved.

What the recipe "bundle" adds (weights that are zero as published): the student starts as the
teacher; whose a face is is asked among the voices of the batch and not among everyone; the image is
drawn to the person's own portrait ("picture"), and the mesh to what the teacher reads off all of
the person's portraits ("reading").
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.upstream import arguments_of
from voicemesh.mesh.basel import MICROMETRES
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.cmp import EmbeddingClassifier, FaceEmbedder, FaceGenerator, VoiceEncoder
from voicemesh.nets.synergynet import Pose, Regression, SynergyNet, crop_of
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.cmp import (
    FRONT_END_OF_CHANNELS,
    shape_gram,
    squared_distance,
)
from voicemesh.systems.cmp_unsupervised import TEACHER

from . import cmp_teacher
from .cmp_readings import Faces, rows_of, scaled
from .distillation import distillation, judged, mesh_triplet, recognised
from .loop import Batch, LoopSettings, train
from .voices import VoiceCodes, voice_codes

LENGTH = 8.0  # of the vectors that are compared among a batch
POINTS = 1500  # vertices of the meshes that are compared, evenly over the head
AT_ONCE = 64
VALIDATION_VOICES = 400
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
RECIPES = {"published": UnsupervisedRecipe(), "bundle": BUNDLE, "polish": POLISH}


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


class UnsupervisedTask:
    """Voices, portraits and the nets: what the loop needs to train."""

    def __init__(
        self,
        recipe: UnsupervisedRecipe,
        population: Population,
        voices: VoiceCodes,
        portraits: PortraitSet,
        teacher: SynergyNet,
        face_model: MorphableModel,
    ) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        self.units = functional.normalize(torch.from_numpy(voices.codes).float()).contiguous()
        self._faces = {
            split: Faces.of(portraits, split, teacher, recipe.frontal)
            for split in ("train", "validation")
        }
        known = self._faces["train"]
        heard = rows_of(voices, known.people)
        self._heard = [rows for rows in heard if len(rows)]
        self._people = np.array([i for i, rows in enumerate(heard) if len(rows)])
        self.net: nn.Module = UnsupervisedNets(
            recipe, teacher, face_model, self.units.shape[1], len(known.people)
        )
        if recipe.start:
            begun = load_file(Path(recipe.start) / "best.safetensors")
            own = {k: v for k, v in begun.items() if not k.startswith("teacher.")}
            self.net.load_state_dict({**self.net.state_dict(), **own})
        mean = known.readings.mean(0)
        self._usual = squared_distance(known.readings - mean, shape_gram(face_model)).mean()
        judged_by = self._faces["validation"]
        rows = rows_of(voices, judged_by.people)
        pairs = [(row, person) for person, own in enumerate(rows) for row in own]
        every = max(1, len(pairs) // VALIDATION_VOICES)
        self._validation = np.array(pairs[::every])
        self.optimiser, self.schedule = optimiser_of(recipe, self.net)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Two recordings each of some people, side by side, and a portrait of each of them."""
        people = rng.choice(len(self._people), self.recipe.batch_size // 2, replace=False)
        rows = np.array(
            [rng.choice(own, 2, replace=len(own) < 2) for own in (self._heard[p] for p in people)]
        ).ravel()
        return self._collate("train", rows, np.repeat(self._people[people], 2), rng)

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on voices of people that were not trained on; how well their meshes are met."""
        sums: dict[str, float] = {}
        rng = np.random.default_rng(0)
        for some in np.array_split(self._validation, max(1, len(self._validation) // AT_ONCE)):
            batch = self._collate("validation", some[:, 0], some[:, 1], rng)
            for name, value in self.net({k: v.to(device) for k, v in batch.items()}).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(some)
        means = {name: value / len(self._validation) for name, value in sums.items()}
        recipe = self.recipe
        told = (
            "reading" if recipe.reading_weight else "picture" if recipe.picture_weight else "mesh"
        )
        return {**means, "selection": means[told]}

    def _collate(
        self,
        split: str,
        rows: Int64[np.ndarray, " batch"],
        people: Int64[np.ndarray, " batch"],
        rng: np.random.Generator,
    ) -> Batch:
        faces, batch = self._faces[split], len(rows)
        owners, first, person = np.unique(people, return_index=True, return_inverse=True)
        shown = torch.from_numpy(np.array([rng.choice(faces.pictures[p]) for p in owners]))
        portraits = scaled(faces.pixels[shown])
        everyone = not self.recipe.among_batch
        return {
            "unit": self.units[rows],
            "voices": self.units[rows[first]],
            "faces": portraits,
            "owner": torch.from_numpy(owners if everyone else np.arange(len(owners))),
            "person": torch.from_numpy(people if everyone else person.reshape(-1)),
            "portrait": portraits[torch.from_numpy(person.reshape(-1))],
            "reading": faces.readings[torch.from_numpy(people)],
            "usual": self._usual.expand(batch),
        }


def optimiser_of(
    recipe: UnsupervisedRecipe, net: UnsupervisedNets
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam over makers and critics, each at its own rate."""
    rate = recipe.learning_rate
    groups = [
        {"params": net.generator.parameters(), "lr": rate},
        {"params": net.student.parameters(), "lr": rate * recipe.student_rate},
        {"params": net.judge.parameters(), "lr": rate * recipe.critic_rate},
    ]
    optimiser = torch.optim.Adam(groups, lr=rate, betas=(0.5, 0.999))

    def left(step: int) -> float:
        warm = min(1.0, (step + 1) / 50) if recipe.decay else 1.0
        return warm * min(1.0, 2 * (1 - step / recipe.steps)) if recipe.decay else 1.0

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, left)


def start(
    data: Path,
    run: Path,
    recipe: UnsupervisedRecipe,
    bundle: Bundle,
    minutes: float = float("inf"),
    workers: int = 1,
) -> dict[str, float]:
    """Train on the voices and portraits of the population in `data`; call again to go on.

    Voice encoder and face model are those of `bundle`. `workers` processes compute the features,
    once. Returns the best validation so far.
    """
    population, face_model = Population.open(data), bundle.face_model()
    encoder = bundle.net("cmp-voice-encoder")
    voices = voice_codes(population, encoder, front_end_name(encoder), workers)
    portraits = PortraitSet.open(data / f"portraits-{recipe.size}", partial=recipe.partial)
    teacher = teacher_of(recipe, bundle, face_model)
    task = UnsupervisedTask(recipe, population, voices, portraits, teacher, face_model)
    return train(task, recipe, run, LoopSettings(recipe.steps, recipe.seed, minutes=minutes))


def front_end_name(encoder: VoiceEncoder) -> str:
    """The features that an encoder reads."""
    return FRONT_END_OF_CHANNELS[encoder.model[0].in_channels]


def teacher_of(
    recipe: UnsupervisedRecipe, bundle: Bundle, face_model: MorphableModel
) -> SynergyNet:
    """The teacher of the recipe's run, or that of the bundle."""
    if not recipe.teacher:
        return bundle.net(TEACHER)
    return cmp_teacher.trained(Path(recipe.teacher), face_model)[0]
