"""Several recordings of one voice: one portrait of all, and how well they agree."""

from collections.abc import Sequence

import numpy as np
import torch

from voicemesh.audio.recording import Recording, UnusableRecording
from voicemesh.systems import fusion

from .clock import Clock
from .comparison import Several, usual
from .portrayer import Portrayer


def portray(whole: Portrayer, recordings: Sequence[Recording]) -> Several:
    """One portrait of all, and how far the readings of each lie apart.

    Raises:
        UnusableRecording: there is too little speech in one of them, or only one is given.
    """
    if len(recordings) < 2:
        raise UnusableRecording("Two or more recordings of one voice are needed.")
    clock = Clock()
    heard = [whole.hear(recording) for recording in recordings]
    each = [whole.portrait(*one, Clock()) for one in heard]
    clock.lap("reading each recording")
    count, model = len(each), whole.system.face_model
    certainty = whole.certainty_after(count)
    perceptions, noted, segments, log_mels = zip(*heard, strict=True)
    lengths = [len(recording.waveform) for recording in recordings]
    starts = np.cumsum([0, *lengths[:-1]])
    together = Recording(
        np.concatenate([recording.waveform for recording in recordings]),
        " + ".join(recording.name for recording in recordings),
        notes=tuple(f"{one.name}: {note}" for one in noted for note in one.notes),
    )
    fused = whole.portrait(
        fusion.together(whole.system, perceptions),
        together,
        np.concatenate([one + start for one, start in zip(segments, starts, strict=True)]),
        np.concatenate(log_mels, axis=1),
        clock,
        certainty,
    )
    points = model.vertices(torch.stack([one.shape_params[0] for one in perceptions]))
    away = (points - points.mean(0)).square().sum(2)
    pairs = torch.combinations(torch.arange(count)).T
    apart = (points[pairs[0]] - points[pairs[1]]).square().sum(2).mean(1).sqrt()
    shares = None
    if whole.certainty.lengths is not None and certainty is not whole.certainty:
        shares = 1 - float((certainty.lengths / whole.certainty.lengths).mean())
    between = float(apart.mean())
    return Several(
        each=tuple(each),
        fused=fused,
        apart=away.mean(0).sqrt().cpu().numpy(),
        distances=tuple(away.mean(1).sqrt().tolist()),
        between=between,
        narrower=shares,
        usual=usual(between, whole.repeats),
    )
