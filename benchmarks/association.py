"""How fast voices and faces are embedded, and CMPC's loss steps against a plain form.

The plain form goes through rows and levels one by one, as a formula is read. Only the figures of
one run compare.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from timing import fastest
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder, ResNetEncoder
from voicemesh.training import cmpc_losses, prototypes
from voicemesh.training.cmpc_losses import Clusters

VIDEOS, BATCH, EMBEDDING = 18_057, 128, 512  # of the published run
LEVELS = (500, 1000, 1500)
SECONDS = 5.0


def plain_instance(anchors: Tensor, others: Tensor, videos: Tensor, temperature: float) -> Tensor:
    """Row by row."""
    total = []
    for i, anchor in enumerate(anchors):
        kept = [j for j in range(len(others)) if j == i or videos[j] != videos[i]]
        logits = torch.stack([F.cosine_similarity(anchor, others[j], dim=0) for j in kept])
        logits = logits / temperature
        total.append(logits.logsumexp(0) - logits[kept.index(i)])
    return torch.stack(total)


def plain_kmeans(points: Tensor, count: int, rounds: int) -> Tensor:
    """Lloyd, cluster by cluster."""
    centroids = points[:count].clone()
    for _ in range(rounds):
        own = torch.cdist(points, centroids).argmin(1)
        for k in range(count):
            if (own == k).any():
                centroids[k] = points[own == k].mean(0)
    return centroids


def losses_step(published: bool) -> Callable[[], object]:
    """A batch of the published size through all losses, forwards and backwards."""
    torch.manual_seed(0)
    voices, faces = (torch.randn(BATCH, EMBEDDING, requires_grad=True) for _ in range(2))
    videos = torch.randint(VIDEOS, (BATCH,))
    sides = [
        [
            Clusters(torch.randn(k, EMBEDDING), torch.rand(k) + 0.1, torch.randint(k, (VIDEOS,)))
            for k in LEVELS
        ]
        for _ in range(2)
    ]

    def step() -> None:
        total = cmpc_losses.losses(voices, faces, videos, *sides, published=published).total
        torch.autograd.grad(total, (voices, faces))

    return step


def embedding_work(small: bool) -> dict[str, Callable[[], object]]:
    """One recording of five seconds and one picture through a pair of nets."""
    if small:
        voice, face, side = FeatureVoiceEncoder(), GridFaceEncoder(), 96
    else:
        voice, face, side = ResNetEncoder(1), ResNetEncoder(3), 224
    speech, front = torch.randn(1, int(16_000 * SECONDS)), "voicemesh" if small else "cmpc"
    picture = torch.randn(1, 3, side, side)
    features = FRONT_ENDS[front](speech)
    features = features if small else features[:, None]
    voice, face = voice.eval(), face.eval()
    return {
        f"front end {front}": lambda: FRONT_ENDS[front](speech),
        "voice net": lambda: voice(features),
        "face net": lambda: face(picture),
    }


def main() -> None:
    """Print the table."""
    whole = argparse.ArgumentParser(description=__doc__)
    whole.add_argument("--repeats", type=int, default=5)
    whole.add_argument("--threads", type=int, default=1)
    chosen = whole.parse_args()
    torch.set_num_threads(chosen.threads)
    with torch.inference_mode():
        for small in (True, False):
            for name, work in embedding_work(small).items():
                size = "small" if small else "published"
                print(f"{size:<10}{name:<24}{1e3 * fastest(work, chosen.repeats):>10.1f} ms")
    for published in (True, False):
        name = "as published" if published else "as meant"
        took = fastest(losses_step(published), chosen.repeats)
        print(f"{'losses':<10}{name:<24}{1e3 * took:>10.1f} ms")
    anchors, others = torch.randn(2, BATCH, EMBEDDING)
    videos = torch.randint(VIDEOS, (BATCH,))
    ours = fastest(
        lambda: cmpc_losses.instance_contrast(anchors, others, 0.03, videos), chosen.repeats
    )
    plain = fastest(lambda: plain_instance(anchors, others, videos, 0.03), 1)
    print(f"{'instances':<10}{'ours / plain':<24}{1e3 * ours:>10.1f} ms{1e3 * plain:>10.1f} ms")
    bank = F.normalize(torch.randn(6000, 128))
    ours = fastest(lambda: prototypes.clusters_of(bank, 256, 5), 1)
    theirs = fastest(lambda: prototypes.clusters_of(bank, 256, 5, published=False), 1)
    plain = fastest(lambda: plain_kmeans(bank, 256, 5), 1)
    row = "".join(f"{1e3 * took:>10.1f} ms" for took in (ours, theirs, plain))
    print(f"{'clusters':<10}{'Lloyd / FAISS / plain':<24}{row}")


if __name__ == "__main__":
    main()
