"""What a system says of a population's recordings, one row each."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int16, Int64
from torch import Tensor
from tqdm import tqdm

from voicemesh.audio import vad
from voicemesh.population.dataset import Population
from voicemesh.systems.cmp import CrossModalPerceptionist

AT_ONCE = 16  # recordings per pass through the nets
LEAST_SPEECH = 16_000  # samples; a recording in which less is detected is used whole


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a system says of recordings; `identity` points into the population's people."""

    shape_params: Float[Tensor, "rows s"]
    embedding: Float[Tensor, "rows embedding"]
    traits: Float[Tensor, "rows 4"]
    identity: Int64[np.ndarray, " rows"]
    session: Int64[np.ndarray, " rows"]

    def rows(self, some: Int64[np.ndarray, " some"]) -> "Predictions":
        """Those of some recordings."""
        return Predictions(**{name: value[some] for name, value in vars(self).items()})


def speech_of(waveform: Int16[np.ndarray, " samples"]) -> Float[Tensor, " samples"]:
    """The detected speech of a recording, repeated to the recording's length."""
    wave = waveform.astype(np.float32) / 32768
    kept = [wave[start:stop] for start, stop in vad.segments(wave)]
    speech = np.concatenate(kept) if kept else wave
    if len(speech) < LEAST_SPEECH:
        speech = wave
    return torch.from_numpy(np.resize(speech, len(wave)))


def predict(
    perceptionist: CrossModalPerceptionist, population: Population
) -> tuple[Predictions, Predictions]:
    """Hear the held-out people of a population through the whole system.

    Of the recordings that went through a channel: those of usual sessions, and those in which
    everyone was made to raise the voice.
    """
    device = perceptionist.face_model.mean.device
    perceived, heard = [], []
    people = len(population.validation)
    with tqdm(total=people, unit="identity", desc="listening", disable=None) as bar:
        for shard in population.recordings("validation"):
            rows = np.flatnonzero(~shard.clean)
            for some in np.split(rows, range(AT_ONCE, len(rows), AT_ONCE)):
                speech = torch.stack([speech_of(shard.waveform[row]) for row in some])
                perceived.append(perceptionist.perceive(speech.to(device)))
            heard.append((shard.identity[rows], shard.session[rows], shard.raised[rows]))
            bar.update(len(np.unique(shard.identity)))
    identity, session, raised = (np.concatenate(column) for column in zip(*heard, strict=True))
    whole = Predictions(
        shape_params=torch.cat([seen.shape_params for seen in perceived]).cpu(),
        embedding=torch.cat([seen.embedding for seen in perceived]).cpu(),
        traits=torch.cat([seen.traits for seen in perceived]).cpu(),
        identity=identity,
        session=session,
    )
    return whole.rows(np.flatnonzero(~raised)), whole.rows(np.flatnonzero(raised))


def perceived(perceptionist: CrossModalPerceptionist, heard: Predictions) -> Predictions:
    """What a system says of embeddings that it, or one with the same voice encoder, gave before."""
    seen = perceptionist.perceive_embedding(heard.embedding.to(perceptionist.face_model.mean))
    return replace(heard, shape_params=seen.shape_params.cpu(), traits=seen.traits.cpu())
