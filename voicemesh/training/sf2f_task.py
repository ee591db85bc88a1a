"""What the loop needs to train SF2F: batches of voices and portraits, and validation."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import nn
from torch.nn import functional

from voicemesh.audio.sf2f import SEGMENT
from voicemesh.nets.sf2f import coloured, shown
from voicemesh.nets.sf2f_facenet import FaceNet
from voicemesh.population.portrait_set import PortraitSet

from .data import FeatureSet, heard_of
from .loop import Batch, mean_losses
from .runs import best_of
from .sf2f_data import Faces, segments
from .sf2f_nets import Sf2fNets, Sf2fRecipe, optimiser_of
from .sf2f_typical import Typical, typical
from .sheets import save_sheet
from .voices import VoiceCodes

AT_ONCE = 32
SHEET = 32  # people on a sheet, each beside the own portrait


class Sf2fTask:
    """Voices and portraits in memory and the nets."""

    def __init__(
        self,
        recipe: Sf2fRecipe,
        utterances: FeatureSet,
        portraits: PortraitSet,
        run: Path,
        facenet: FaceNet | None = None,
        codes: VoiceCodes | None = None,
    ) -> None:
        """Args: `codes`: what another encoder says of the same recordings, for "hearing".

        Raises:
            ValueError: a second stage without a first one, or a first one of other nets.
        """
        self.recipe, self.utterances, self.run = recipe, utterances, run
        torch.manual_seed(recipe.seed)
        side = 128 if recipe.large else 64
        self._faces, self._rows = {}, {}
        for split in ("train", "validation"):
            faces = Faces.of(portraits, split, side, recipe.frontal)
            rows = heard_of(faces.people, utterances.identity, utterances.clean)
            self._faces[split] = faces
            self._rows[split] = [(i, own) for i, own in enumerate(rows) if len(own)]
            if not self._rows[split]:
                raise ValueError(f"{portraits.folder}: nobody of {split} has a voice and a face")
        self._heard = None
        if codes is not None:
            self._heard = functional.normalize(torch.from_numpy(codes.codes).float())
        self._typical = self._typical_faces() if recipe.typical else None
        people = len(self._faces["train"].people)
        heard = 0 if self._heard is None else self._heard.shape[1]
        channels = utterances.shards[0].shape[2]
        self.net: nn.Module = Sf2fNets(recipe, channels, people, facenet, heard)
        if recipe.start:
            begin(self.net, Path(recipe.start))
        elif recipe.stage == 2:
            raise ValueError("A second stage needs start=RUN, the folder of its first stage")
        self.optimiser, self.schedule = optimiser_of(recipe, self.net)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Random people, a voice and a picture of each; one length for all."""
        own = self._rows["train"]
        count = self.recipe.batch_size
        drawn = rng.choice(len(own), count, replace=count > len(own))
        return self._collate("train", drawn, rng)

    def _typical_faces(self) -> Typical:
        """The faces that stand for those of everyone trained on.

        Raises:
            ValueError: nothing is known of how voices sound.
        """
        if self._heard is None:
            raise ValueError("Typical faces need hearing_weight above 0, which tells of voices")
        faces, own = self._faces["train"], self._rows["train"]
        pictures = np.array([faces.pictures[i][0] for i, _ in own])
        rows = torch.from_numpy(pictures)
        found = typical(
            faces.pixels[rows],
            faces.made_of[rows],
            self._heard,
            [heard for _, heard in own],
            self.recipe.typical,
            self.recipe.seed,
        )
        return Typical(pictures[found.pictures], found.kind)

    def validate(self, device: torch.device) -> dict[str, float]:
        """Losses on people that were not trained on, each heard from the start; and a sheet."""
        whole = len(self._rows["validation"])
        parts = np.array_split(np.arange(whole), max(1, whole // AT_ONCE))
        batches = ((len(some), self._collate("validation", some, None)) for some in parts)
        means = mean_losses(self.net, batches, device)
        self._sheet(device)
        told = means["perceptual"] if self.recipe.perceptual_weight else means["pixel"]
        newest = -float(self.schedule.last_epoch)
        return {**means, "selection": newest if self.recipe.keep_last else told}

    def _sheet(self, device: torch.device) -> None:
        """People held out, each portrait beside what the voice lets expect."""
        count = min(SHEET, len(self._rows["validation"]))
        batch = self._collate("validation", np.arange(count), None)
        ours = self.net.generator(batch["voice"].to(device))[0][-1].float().cpu()
        pairs = torch.stack([batch["face"], ours], 1).flatten(0, 1)
        path = self.run / f"pairs-{self.schedule.last_epoch:06d}.png"
        save_sheet(path, shown(pairs).clamp(0, 1) * 2 - 1)

    def _collate(
        self, split: str, drawn: Int64[np.ndarray, " batch"], rng: np.random.Generator | None
    ) -> Batch:
        recipe, faces, own = self.recipe, self._faces[split], self._rows[split]
        people = [own[i][0] for i in drawn]
        chosen = [rng.choice(own[i][1]) if rng else own[i][1][0] for i in drawn]
        shown_ = [rng.choice(faces.pictures[p]) if rng else faces.pictures[p][0] for p in people]
        if self._typical is not None and split == "train":
            shown_ = list(self._typical.pictures[self._typical.kind[chosen]])
        if recipe.stage == 2:
            voices = [segments(self.utterances, own[i][1], recipe.segments, rng) for i in drawn]
            voice = torch.stack(voices)
        else:
            least, most = (min(end, self.utterances.frames) for end in recipe.frames)
            length = int(rng.integers(least, most + 1)) if rng else min(SEGMENT, most)
            voice = self.utterances.crops(np.array(chosen), length, rng)
        count, step = len(drawn), self.schedule.last_epoch if hasattr(self, "schedule") else 0
        playing = split == "train" and step >= recipe.joins
        batch = {
            "voice": voice,
            "face": coloured(faces.pixels[torch.from_numpy(np.array(shown_))].float() / 255),
            "person": torch.tensor(people),
            # One number for each, so that a batch can be shared out among processes.
            "playing": torch.full((count,), float(playing)),
            "settled": torch.full((count,), float(step >= recipe.settles)),
        }
        if self._heard is not None:
            batch["heard"] = self._heard[torch.from_numpy(np.array(chosen))]
        return batch


def begin(net: nn.Module, run: Path) -> None:
    """Take all nets of a finished run that this one has too.

    Raises:
        ValueError: the run has none, or nets that do not fit.
    """
    begun, own = best_of(run), net.state_dict()
    wrong = [k for k, v in begun.items() if k in own and own[k].shape != v.shape]
    lacking = [
        key
        for key in own
        if key not in begun and key.startswith("generator.") and ".attn_fuser." not in key
    ]
    if wrong or lacking:
        raise ValueError(
            f"{run} is of other nets than this recipe ({', '.join(sorted(wrong + lacking)[:3])});"
            " take the recipe of the same sizes"
        )
    net.load_state_dict({**own, **{key: begun[key] for key in begun.keys() & own.keys()}})
