"""What a finished voice encoder says of every recording of a population, kept beside it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn
from tqdm import tqdm

from voicemesh.latent.precision import lowered, usual
from voicemesh.population.dataset import Population

from .data import FeatureSet, features
from .kept import hash_of_net, write_array

AT_ONCE = 64  # recordings per pass


@dataclass(frozen=True, eq=False)
class VoiceCodes:
    """Outputs of an encoder, not normalised: the mean of several is what a joined voice gives.

    Clean recordings are not heard; their rows are zero.
    """

    codes: Float32[np.ndarray, "rows inner"]
    identity: Int64[np.ndarray, " rows"]
    session: Int64[np.ndarray, " rows"]
    clean: Bool[np.ndarray, " rows"]


def voice_codes(
    population: Population, encoder: nn.Module, front_end: str, workers: int = 1
) -> VoiceCodes:
    """Hear the recordings of a population, whole; what is on disk is not heard again.

    The encoder gives one row per recording and need not know lengths. `workers` processes compute
    its features.
    """
    utterances = features(population.folder, front_end, workers)
    path = population.folder / f"codes-{front_end}-{hash_of_net(encoder)}.npy"
    if path.exists():
        codes = np.load(path)
    else:
        codes = heard(encoder, utterances).numpy()
        write_array(path, codes)
    return VoiceCodes(codes, utterances.identity, utterances.session, utterances.clean)


@torch.inference_mode()
def heard(encoder: nn.Module, utterances: FeatureSet) -> Float[Tensor, "rows inner"]:
    """One row per recording, zeros for the clean ones; in half precision where that is fast."""
    device = next(encoder.parameters()).device
    half = usual(device)
    rows, found = np.flatnonzero(~utterances.clean), []
    with tqdm(total=len(rows), unit="recording", desc="listening", disable=None) as bar:
        for some in np.split(rows, range(AT_ONCE, len(rows), AT_ONCE)):
            crops = utterances.crops(some, utterances.frames, None).to(device)
            with lowered(device, half):
                found.append(encoder(crops).float().cpu())
            bar.update(len(some))
    told = torch.cat(found)
    codes = told.new_zeros(len(utterances.identity), told.shape[1])
    codes[torch.from_numpy(rows)] = told
    return codes
