"""Adapters: networks, front end, losses and measures of SF2F, and voice2face's networks."""

import re
import zlib
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from conformance.case import Arrays, Case, compare
from conformance.waveforms import synthetic_voice

from voicemesh.audio import sf2f as front
from voicemesh.checkpoints import upstream
from voicemesh.checkpoints.association import of
from voicemesh.checkpoints.store import fill
from voicemesh.evaluation import sf2f_measures as measures
from voicemesh.nets import sf2f_facenet, sf2f_vggface
from voicemesh.nets.cmp import EmbeddingClassifier
from voicemesh.nets.sf2f import SpeechFusionToFace, bytes_of, disturbed
from voicemesh.nets.sf2f_attention import Attention, AttentionFuser, SkippingFuser, TwoStepFuser
from voicemesh.nets.sf2f_critics import ConditionCritic, IdentityCritic, PatchCritic
from voicemesh.systems.sf2f import stretched
from voicemesh.training import sf2f_losses as losses


def tensors(case: Case, prefix: str = "") -> dict[str, torch.Tensor]:
    state = {key: torch.from_numpy(np.asarray(value)) for key, value in case.state().items()}
    return of(prefix, state)


def tensor(case: Case, name: str) -> torch.Tensor:
    """An input with its scale and offset."""
    entry = case.description["inputs"][name]
    drawn = case.input(name) * np.float32(entry.get("scale", 1)) + np.float32(
        entry.get("offset", 0)
    )
    return torch.from_numpy(drawn)


def kept(case: Case, produced: dict) -> Arrays:
    """As much of each array as the case stores."""
    return {
        name: case.stored(name, np.asarray(value))
        for name, value in produced.items()
        if name in case.arrays
    }


def column(embedding: torch.Tensor) -> torch.Tensor:
    """An embedding as published: a map of one place."""
    return embedding[..., None, None]


@torch.inference_mode()
def generator(case: Case) -> Arrays:
    """The five options, on all ways through them that a case has inputs for."""
    net = upstream.build(case.name, tensors(case), case.name)
    assert isinstance(net, SpeechFusionToFace)
    assert net.encoder.fused == ("segments" in case.inputs)
    produced: dict[str, torch.Tensor] = {}

    def keep(images: tuple[torch.Tensor, ...], name: str, suffix: str = "") -> None:
        produced[f"{name}{suffix}"] = images[-1]
        if len(images) > 1:
            produced[f"image_low{suffix}"] = images[0]

    if net.encoder.fused:
        segments = tensor(case, "segments")
        alone = net.encoder.embed(segments.flatten(0, 1)).unflatten(0, segments.shape[:2])
        produced["segment_embeddings"] = alone
        images, embedding = net(segments)
        keep(images, "image")
        (direct,), produced["direct_embedding"] = [
            out[-1:] if isinstance(out, tuple) else column(out)
            for out in net(tensor(case, "log_mels"))
        ]
        fused, weights = net.encoder.attn_fuser.attend(tensor(case, "segment_embeddings"))
        produced |= {
            "embedding": column(embedding),
            "direct_image": direct,
            "attention_probe": weights,
            "fused_probe": column(fused),
        }
        return kept(case, produced)
    log_mels = tensor(case, "log_mels")
    images, embedding = net(log_mels)
    keep(images, "image")
    produced["embedding"] = column(embedding)
    images, embedding = net(log_mels, together=True)
    produced |= {"image_averaged": images[-1], "embedding_averaged": column(embedding)}
    if "noise" in case.inputs:
        noisy = disturbed(net.encoder(log_mels), tensor(case, "noise").flatten(1))
        produced |= {"embedding_noisy": column(noisy), "image_noisy": net.decoder.picture(noisy)}
    probe = tensor(case, "embedding_probe").flatten(1)
    keep(net.decoder(probe), "image", "_probe")
    produced["bytes_probe"] = bytes_of(net.decoder.picture(probe))
    torch.testing.assert_close(net.decoder.picture(probe), produced["image_probe"])
    return kept(case, produced)


def check_generator(case: Case, produced: Arrays) -> None:
    """Bytes may differ by one level where a value is cut off."""
    for name in [name for name in case.arrays if name.startswith("bytes")]:
        apart = np.abs(produced[name].astype(float) - case.arrays[name])
        assert apart.max() <= 1 and (apart > 0).mean() < 1e-2, name
        produced[name] = case.arrays[name]
    compare(case, produced)


@torch.inference_mode()
def attention(case: Case) -> Arrays:
    """Each variant as the case writes its constructor down."""
    embeddings, produced = tensor(case, "embeddings"), {}
    for name, written in case.description["arguments"].items():
        numbers = [int(number) for number in re.findall(r"(?<=[(, ])\d+(?=[,)])", written)]
        options = {
            "transformed": "attention_type=dot" not in written,
            "joined": "linear_out_layer=False" not in written,
            "bounded": "ignore_tanh=True" not in written,
        }
        if written.startswith("Attention("):
            net = Attention(*numbers, **options)
        else:
            kinds = {"1": AttentionFuser, "2": TwoStepFuser, "3": SkippingFuser}
            net = kinds[re.match(r"AttentionFuserV(\d)", written)[1]](numbers[0])
            if isinstance(net, AttentionFuser):
                net.attention = Attention(*numbers, **options)
        told = fill(net, tensors(case, f"{name}."), name)(embeddings)
        if isinstance(net, Attention):
            produced[name], produced[f"{name}_weights"] = told
        else:
            produced[name] = column(told)
    return kept(case, produced)


@torch.inference_mode()
def discriminators(case: Case) -> Arrays:
    """Each network under its prefix, in evaluation and in training mode."""
    told = " ".join(case.description["notes"])
    wanted = re.search(r"identities \(class targets\) = \[([\d, ]+)\]", told)[1]
    people = torch.tensor([int(number) for number in wanted.split(",")])
    produced: dict[str, torch.Tensor] = {}
    for name, arguments in case.description["arguments"].items():
        own = tensors(case, f"{name}.")
        slope = float(arguments["activation"].split("-")[1])
        shape = arguments["arch"], arguments["normalization"] == "batch", slope
        side = re.search(r"_(\d+)$", name)
        image = tensor(case, f"image_{side[1] if side else 64}")
        if name.startswith("image"):
            net = fill(PatchCritic(*shape), own, name)
            built = upstream.build("sf2f-image-critic", own, name)
            produced[name] = net(image)
            torch.testing.assert_close(built(image), produced[name])
            produced[f"{name}_train"] = net.train()(image)
        elif name.startswith("identity"):
            net = fill(IdentityCritic(arguments["num_id"], *shape), own, name)
            built = upstream.build("sf2f-identity-critic", own, name)
            torch.testing.assert_close(built(image), net(image))
            for suffix in ("", "_train"):
                real, identity = net(image)
                produced[f"{name}_real{suffix}"] = real
                produced[f"{name}_id{suffix}"] = identity
                produced[f"{name}_loss{suffix}"] = F.cross_entropy(identity, people)[None]
                net.train()
        else:
            net = fill(ConditionCritic(arguments["cond_dim"], *shape), own, name)
            produced[name] = net(image, tensor(case, "condition").flatten(1))
    real, fake = tensor(case, "scores_real"), tensor(case, "scores_fake")
    for form in losses.FORMS:
        produced[f"{form}_g"] = losses.fooling(fake, form)[None]
        produced[f"{form}_d"] = losses.telling(real, fake, form)[None]
    return kept(case, produced)


@torch.inference_mode()
def facenet(case: Case) -> Arrays:
    net = upstream.build(case.name, tensors(case), case.name)
    image, other = tensor(case, "image"), tensor(case, "image_other")
    crops = sf2f_facenet.prepared(image)
    seen = net.layers(crops)
    (whole,) = [name for name in case.inputs if name.startswith("crop_")]
    return kept(
        case,
        {
            **seen._asdict(),
            "preprocessed": crops,
            "logits": net.logits(seen.embedding),
            "perceptual_loss": losses.perceptual(net, image, other)[None],
            whole.replace("crop", "embedding"): net(tensor(case, whole), stretched=False),
        },
    )


@torch.inference_mode()
def vggface(case: Case) -> Arrays:
    net = upstream.build(case.name, tensors(case), case.name)
    pixels = np.clip(np.floor(case.input("image") * 256), 0, 255).astype(np.uint8)
    faces = sf2f_vggface.prepared(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    produced = {"network_input": faces, "layer4": net.maps(faces), "logits": net(faces)}
    return kept(case, produced)


def energies(samples: np.ndarray) -> np.ndarray:
    """Log-mel of int16 samples, [mels, frames]."""
    return front.log_mel(torch.from_numpy(samples.astype(np.float32))[None])[0].numpy()


def wav2mel(case: Case) -> Arrays:
    entry = case.description["inputs"]["voice"]
    samples = synthetic_voice(case.tag, "voice", entry["seconds"], entry["rate"])
    assert zlib.crc32(samples.astype("<i2").tobytes()) == entry["crc32_of_int16_le_bytes"]
    told = " ".join(case.description["notes"])
    first, last = map(int, re.search(r"logfbank of samples (\d+)\.\.(\d+)", told).groups())
    zeros = int(re.search(r"logfbank of (\d+) zero samples", told)[1])
    verdicts, voice = front.decisions(samples), front.voiced(samples)
    log_mel = energies(voice)
    normalised = front.normalised(torch.from_numpy(log_mel)[None])[0]
    read = front.sf2f(torch.from_numpy(voice / np.float32(front.FULL_SCALE))[None])[0]
    torch.testing.assert_close(read, normalised)
    drawn = case.input("decisions")
    count = len(drawn)
    # The number of cycles is told for both kinds of cases at once: the one that fits is theirs.
    for cycles in map(float, re.search(r"c = ([\d.]+) \(public\) or ([\d.]+)", told).groups()):
        bound = 0.6 * np.sin(2 * np.pi * cycles * np.arange(count) / count + 0.4) + 0.5
        given = drawn < bound
        if np.array_equal(given, case.arrays["given_decisions"] > 0):
            break
    return kept(
        case,
        {
            "log_mel_no_vad": energies(samples[first : last + 1]).T,
            "vad_decisions": verdicts,
            "frames_kept": mask(front.stretches(verdicts), len(verdicts)),
            "voiced_samples": np.array([len(voice)]),
            "log_mel": log_mel,
            "log_mel_normalised": normalised,
            "segments": front.segments(normalised, case.description["arguments"]["stride_length"]),
            "given_decisions": given,
            "given_kept": mask(front.stretches(given), count),
            "filterbank": front.filters().T,
            "silence_log_mel": energies(np.zeros(zeros)).T,
        },
    )


def mask(stretches: np.ndarray, count: int) -> np.ndarray:
    """Which frames are kept."""
    whole = np.zeros(count, bool)
    for first, end in stretches:
        whole[first:end] = True
    return whole


def scores(case: Case) -> Arrays:
    gallery = F.normalize(tensor(case, "gallery"))
    told = " ".join(case.description["notes"])
    share = float(re.search(r"\+ ([\d.]+) \* \"gallery\", raw", told)[1])
    prediction = F.normalize(tensor(case, "prediction") + share * tensor(case, "gallery"))
    logits = tensor(case, "logits")
    ends = case.description["arguments"]["extraction_size"]
    bounds = list(pairwise([0, *ends]))
    near = measures.distances(gallery, prediction)
    few = int(re.search(r"the first (\d+) logits", told)[1])
    produced = {name: np.array([value]) for name, value in near.items()}

    def recalls(rows: list[tuple[int, int]], by: str) -> np.ndarray:
        each = [
            measures.recall(gallery[start:end], prediction[start:end], by, size=end - start)
            for start, end in rows
        ]
        return np.mean([list(shares.values()) for shares in each], 0)

    produced |= {
        "recall_cosine": recalls(bounds, "cosine"),
        "recall_l1": recalls(bounds, "l1"),
        "recall_cosine_all": recalls([(0, len(gallery))], "cosine"),
    }
    (_, end), *others = bounds
    if all(stop - first == end for first, stop in others):  # galleries of one size, counted off
        counted = measures.recall(gallery, prediction, size=end, galleries=len(bounds))
        np.testing.assert_allclose(list(counted.values()), produced["recall_cosine"])
    produced |= {
        "vggface_score": np.array(measures.certainty(logits)),
        "inception_score": np.array(measures.certainty(logits[:, :few], 3)),
        "inception_score_train": np.array(measures.certainty(logits[:, :few], equal=True)),
        "fid": np.array([measures.frechet(tensor(case, "fid_real"), tensor(case, "fid_fake"))]),
    }
    return kept(case, produced)


@torch.inference_mode()
def voice2face(case: Case) -> Arrays:
    encoder = upstream.build("voice2face-voice-encoder", tensors(case, "e."), "e")
    make = upstream.build("voice2face-generator", tensors(case, "g."), "g")
    embedder = upstream.build("cmp-face-critic", tensors(case, "f."), "f")
    real, identity = (
        upstream.build("cmp-face-classifier", tensors(case, p), p) for p in ("d.", "c.")
    )
    assert isinstance(real, EmbeddingClassifier)
    embedding = encoder(tensor(case, "fbank"))
    unit = F.normalize(embedding)
    image = make(unit)
    read = embedder(image)
    produced = {
        "embedding": column(embedding),
        "embedding_unit": column(unit),
        "image": image,
        "image_probe": make(tensor(case, "embedding_probe").flatten(1)),
        "face_embedding": column(embedder(tensor(case, "face"))),
        "image_embedding": column(read),
        "real_score": real(read),
        "identity_scores": identity(read),
        "png": stretched(image[:1]),
    }
    return kept(case, produced)


def check_png(case: Case, produced: Arrays) -> None:
    """A byte may differ by one level where a value is cut off."""
    apart = np.abs(produced["png"].astype(float) - case.arrays["png"])
    assert apart.max() <= 1 and (apart > 0).mean() < 1e-2
    compare(case, produced | {"png": case.arrays["png"]})


GENERATORS = (
    *("sf2f-v2f-64", "sf2f-1st-stage-64", "sf2f-1st-stage-128"),
    *("sf2f-fuser-64", "sf2f-fuser-128"),
)
ADAPTERS = {
    **dict.fromkeys(GENERATORS, generator),
    "sf2f-attention-variants": attention,
    "sf2f-discriminators": discriminators,
    "sf2f-facenet": facenet,
    "sf2f-metrics": scores,
    "sf2f-vggface": vggface,
    "sf2f-wav2mel": wav2mel,
    "voice2face": voice2face,
}
CHECKS = {**dict.fromkeys(GENERATORS, check_generator), "voice2face": check_png}
