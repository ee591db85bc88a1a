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

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import nn
from torch.nn import functional

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import CMP_TEACHER, CMP_VOICE
from voicemesh.mesh.morphable import MorphableModel
from voicemesh.nets.synergynet import SynergyNet
from voicemesh.population.dataset import Population
from voicemesh.population.portrait_set import PortraitSet
from voicemesh.systems.cmp import front_end_name, shape_gram, squared_distance

from .cmp_readings import Faces, scaled
from .cmp_teacher_publish import trained as trained_teacher
from .cmp_unsupervised_nets import BUNDLE, POLISH, UnsupervisedNets, UnsupervisedRecipe
from .data import heard_of
from .loop import Batch, LoopSettings, mean_losses, train
from .runs import best_of
from .voices import VoiceCodes, voice_codes

AT_ONCE = 64
VALIDATION_VOICES = 400
RECIPES = {"published": UnsupervisedRecipe(), "bundle": BUNDLE, "polish": POLISH}


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
        heard = heard_of(known.people, voices.identity, voices.clean)
        self._heard = [rows for rows in heard if len(rows)]
        self._people = np.array([i for i, rows in enumerate(heard) if len(rows)])
        self.net: nn.Module = UnsupervisedNets(
            recipe, teacher, face_model, self.units.shape[1], len(known.people)
        )
        if recipe.start:
            begun = best_of(Path(recipe.start))
            own = {k: v for k, v in begun.items() if not k.startswith("teacher.")}
            self.net.load_state_dict({**self.net.state_dict(), **own})
        mean = known.readings.mean(0)
        self._usual = squared_distance(known.readings - mean, shape_gram(face_model)).mean()
        judged_by = self._faces["validation"]
        rows = heard_of(judged_by.people, voices.identity, voices.clean)
        pairs = [(row, person) for person, own in enumerate(rows) for row in own]
        every = max(1, len(pairs) // VALIDATION_VOICES)
        self._validation = np.array(pairs[::every])
        self.optimiser, self.schedule = optimiser_of(recipe, self.net)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Two recordings each of some people, side by side, and a portrait of each of them."""
        there, asked = len(self._people), self.recipe.batch_size // 2
        people = rng.choice(there, asked, replace=asked > there)
        rows = np.array(
            [rng.choice(own, 2, replace=len(own) < 2) for own in (self._heard[p] for p in people)]
        ).ravel()
        return self._collate("train", rows, np.repeat(self._people[people], 2), rng)

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on voices of people that were not trained on; how well their meshes are met."""
        rng = np.random.default_rng(0)
        parts = np.array_split(self._validation, max(1, len(self._validation) // AT_ONCE))
        batches = ((len(some), self._collate("validation", *some.T, rng)) for some in parts)
        means = mean_losses(self.net, batches, device)
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
    encoder = bundle.net(CMP_VOICE)
    voices = voice_codes(population, encoder, front_end_name(encoder), workers)
    portraits = PortraitSet.open(data / f"portraits-{recipe.size}", partial=recipe.partial)
    teacher = teacher_of(recipe, bundle, face_model)
    task = UnsupervisedTask(recipe, population, voices, portraits, teacher, face_model)
    return train(task, recipe, run, LoopSettings(recipe.steps, recipe.seed, minutes=minutes))


def teacher_of(
    recipe: UnsupervisedRecipe, bundle: Bundle, face_model: MorphableModel
) -> SynergyNet:
    """The teacher of the recipe's run, or that of the bundle."""
    if not recipe.teacher:
        return bundle.net(CMP_TEACHER)
    return trained_teacher(Path(recipe.teacher), face_model)[0]
