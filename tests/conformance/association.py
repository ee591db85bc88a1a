"""Adapters: networks, front ends and pictures of Seeking the Shape of Sound and of CMPC."""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from conformance.case import Arrays, Case
from conformance.waveforms import synthetic_voice

from voicemesh import images
from voicemesh.audio import association as front
from voicemesh.audio import vad
from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints import upstream


def network(case: Case) -> torch.nn.Module:
    """The case's network, filled strictly; tensors that the case calls constructed are left out."""
    constructed = case.description.get("constructed", [])
    state = {key: value for key, value in case.state().items() if key not in constructed}
    return upstream.build(case.name, {k: torch.from_numpy(v) for k, v in state.items()}, case.name)


def waveform(case: Case, name: str) -> np.ndarray:
    """An input waveform, int16, its checksum checked."""
    entry = case.description["inputs"][name]
    samples = synthetic_voice(case.tag, name, entry["seconds"], entry["rate"])
    assert len(samples) == entry["samples"]
    assert zlib.crc32(samples.astype("<i2").tobytes()) == entry["crc32_of_int16_le_bytes"]
    return samples


def batch(*waveforms: np.ndarray) -> torch.Tensor:
    """Waveforms of one length, in the units they have."""
    return torch.from_numpy(np.stack(waveforms).astype(np.float32))


def picture(case: Case, name: str) -> np.ndarray:
    """An input that the case turns into bytes."""
    assert case.description["inputs"][name]["then"].startswith("floor(256 v), at most 255")
    return np.minimum(np.floor(256 * case.input(name)), 255).astype(np.uint8)


@contextmanager
def outputs_of(modules: dict[str, torch.nn.Module]) -> Iterator[Arrays]:
    """What the named modules put out, as they run."""
    seen: Arrays = {}

    def keep(name: str):
        def hook(module, inputs, output):
            seen[name] = output.numpy()

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def channel_means(seen: Arrays) -> Arrays:
    return {f"{name}_channel_mean": maps.mean((2, 3)) for name, maps in seen.items()}


def cosines(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.normalize(a) @ F.normalize(b).T


def as_arrays(case: Case, produced: dict) -> Arrays:
    """Arrays of tensors, each as much as the case stores."""
    return {
        name: case.stored(name, np.asarray(value.numpy() if hasattr(value, "numpy") else value))
        for name, value in produced.items()
    }


@torch.inference_mode()
def sss_face_encoder(case: Case) -> Arrays:
    net = network(case)
    blocks = [re.fullmatch(r"block_(\d+)_channel_mean", name) for name in case.arrays]
    modules = {f"block_{found[1]}": net.model.body[int(found[1])] for found in blocks if found}
    (name,) = case.inputs
    with outputs_of({"stem": net.model.input_layer, **modules}) as seen:
        feature = net.model(torch.from_numpy(case.input(name)))
    embedding = net.fc(feature)
    produced = {
        "feature": feature,
        "embedding": embedding,
        "unit_embedding": F.normalize(embedding),
        "logits": net.cls(embedding),
    }
    return channel_means(seen) | as_arrays(case, produced)


@torch.inference_mode()
def sss_voice_encoder(case: Case) -> Arrays:
    net = network(case)
    *together, ten = case.inputs
    waveforms = batch(*(waveform(case, name) for name in together))
    features = front.sss_features(waveforms)
    layers = {f"layer{i + 1}": getattr(net.model, f"layer{i + 1}") for i in range(net.model.stages)}
    with outputs_of(layers) as seen:
        frames = net.model.frames(features)
    produced = {
        "mel_power": front.sss_mel_power(waveforms),
        "log_mel_normalised": features,
        "attention": net.model.attention_weights(frames),
        "feature": net.model(features),
        "embedding": net(features),
        "ten_seconds_embedding": net(front.sss_features(batch(waveform(case, ten)))),
        "mel_filters": front.sss_mel_filters(),
    }
    return channel_means(seen) | as_arrays(case, produced)


@torch.no_grad()
def sss_embedding_heads(case: Case) -> Arrays:
    net = network(case)
    voice, face = (torch.from_numpy(case.input(f"{name}_feature")) for name in ("voice", "face"))
    z_voice, z_face = net(voice, face)
    classify = net.F["cls"]
    factor, offset, identities = case.numbers("y_i = (# i + #) mod #")
    targets = torch.arange(len(z_face)) * int(factor) + int(offset)
    (margin,) = case.numbers('"face_logits_with_margin": # is subtracted')
    produced = {
        "z_face": z_face,
        "z_voice": z_voice,
        "cosine": cosines(z_voice, z_face),
        "face_logits": classify(z_face),
        "voice_logits": classify(z_voice),
        "face_logits_with_margin": classify(z_face, targets % int(identities), margin),
    }
    net.train()
    for head in (net.V["fc"], net.F["fc"]):
        head[3].eval()
    names = ("z_voice_training_no_dropout", "z_face_training_no_dropout")
    produced |= dict(zip(names, net(voice, face), strict=True))
    return as_arrays(case, produced)


@torch.inference_mode()
def sss_model(case: Case) -> Arrays:
    net = network(case)
    image, *voices = case.inputs
    pixels = torch.from_numpy(picture(case, image).astype(np.float32))
    features = front.sss_features(batch(*(waveform(case, name) for name in voices)))
    z_voice, z_face = net(features, (pixels - images.MIDDLE) / images.MIDDLE)
    cosine = cosines(z_voice, z_face)
    positive, negative = cosine.diagonal(), F.cosine_similarity(z_voice, z_face.roll(1, 0))
    produced = {"z_face": z_face, "z_voice": z_voice, "cosine": cosine}
    produced |= {"dist_pos": positive, "dist_neg": negative, "pred": positive > negative}
    return as_arrays(case, produced)


def sss_audio(case: Case) -> Arrays:
    checksums = case.description["loaded_crc32_of_int16_le_bytes"]
    produced, loaded = {}, {}
    for name in case.inputs:
        samples = waveform(case, name)
        loaded[name] = front.sss_loaded(samples)
        stereo = front.sss_loaded(np.stack([samples, samples[::-1]], 1))
        for label, values in ((name, loaded[name]), (f"stereo (left = {name})", stereo)):
            if label in checksums:
                assert zlib.crc32(values.astype("<i2").tobytes()) == checksums[label]
        produced[f"{name}_log_mel"] = front.sss_log_mel(batch(loaded[name]))[0]
        produced[f"{name}_features"] = front.sss_features(batch(loaded[name]))[0]
        whole = front.sss(batch(samples) / front.FULL_SCALE, len(loaded[name]))[0]
        torch.testing.assert_close(whole, produced[f"{name}_features"])
    first, last = (int(number) for number in case.numbers("samples # .. # of the loaded"))
    words = " ".join(case.description["notes"])
    clip = loaded[re.search(r'of the loaded "(\w+)"', words)[1]][first : last + 1]
    produced["clip_features"] = front.sss_features(batch(clip))[0]
    return as_arrays(case, produced)


@torch.inference_mode()
def cmpc_encoder(case: Case) -> Arrays:
    net = network(case)
    net.embedding = case.description["arguments"]["out_dim"]
    first, second = case.inputs
    layers = {f"layer{i + 1}": getattr(net, f"layer{i + 1}") for i in range(net.stages)}
    with outputs_of({"stem": net.maxpool, **layers}) as seen:
        embedding = net(torch.from_numpy(case.input(first)))
    produced = {"embedding": embedding, "unit_embedding": F.normalize(embedding)}
    means = channel_means(seen)
    (other,) = case.arrays.keys() - produced.keys() - means.keys()
    produced[other] = net(torch.from_numpy(case.input(second)))
    return means | as_arrays(case, produced)


@torch.inference_mode()
def cmpc_model(case: Case) -> Arrays:
    net = network(case)
    audio, frame = (torch.from_numpy(case.input(name)) for name in ("audio", "frame"))
    voices, faces = net(audio[:, 0], frame)
    produced = {
        "audio_embedding": voices,
        "frame_embedding": faces,
        "cosine": cosines(voices, faces),
        "voicestyle_distance": 1 - F.cosine_similarity(voices, faces),
    }
    return as_arrays(case, produced)


def cmpc_audio(case: Case) -> Arrays:
    frames = case.description["arguments"]["fbank_nframes"]
    produced = {"mel_filters": front.cmpc_mel_filters().T}
    for name in case.inputs:
        log_mel = front.cmpc_log_mel(batch(waveform(case, name)) / front.FULL_SCALE)
        padded = front.cmpc_padded(log_mel, frames).shape[2]
        if log_mel.shape[2] >= frames:
            (start,) = case.numbers(f'"{name}_clip": {frames} frames from frame #')
        else:
            told = "the padded length" if padded > frames else "it"
            (start,) = case.numbers(f"from frame # where {told} is {padded}")
        produced[f"{name}_log_mel"] = log_mel[0]
        produced[f"{name}_clip"] = front.cmpc_clip(log_mel, int(start), frames)[0]
    return as_arrays(case, produced)


def cmpc2_audio(case: Case) -> Arrays:
    level = case.description["arguments"]["valid_level"]
    produced = {}
    for name in case.inputs:
        samples = waveform(case, name)
        found = vad.published_segments(samples, level).segments * vad.FRAME
        voiced = np.concatenate([samples[start : start + length] for start, length in found])
        produced[f"{name}_voiced_samples"] = np.array([len(voiced)])
        features = FRONT_ENDS["cmpc2"](batch(voiced) / front.FULL_SCALE)
        produced[f"{name}_features"] = features
    return as_arrays(case, produced)


def association_images(case: Case) -> Arrays:
    arguments = case.description["arguments"]
    stretched, fitted = images.CONVENTIONS["cmpc"], images.CONVENTIONS["sss"]
    produced = {}
    for name in case.inputs:
        pixels = picture(case, name)
        for side in arguments["cmpc_sizes"]:
            produced[f"{name}_{side}"] = images.scale(pixels, replace(stretched, side=side))
        side = min(arguments["sss_size"])
        produced[f"sss_{name}"] = images.scale(pixels, replace(fitted, side=side))
    return as_arrays(case, produced)


@torch.inference_mode()
def ir_se50(case: Case) -> Arrays:
    net = network(case)
    share = float(re.search(r"([\d.]+) grain", case.description["call"]["image"])[1])
    blocks, grain = (case.input(name) for name in ("blocks", "grain"))
    times = grain.shape[3] // blocks.shape[3]
    image = torch.from_numpy(blocks.repeat(times, 2).repeat(times, 3) + np.float32(share) * grain)
    modules = {"input_layer": net.input_layer, "body_2": net.body[2], "body": net.body}
    with outputs_of(modules) as produced:
        feature = net(image)
    produced |= {"before_normalization": feature.numpy()}
    produced |= {"embedding": F.normalize(feature).numpy()}
    for name, rule in case.description["subsample"].items():
        if name in produced:
            strides = tuple(slice(None, None, step) for step in rule["axis_strides"])
            produced[name] = produced[name][strides]
    return produced


ADAPTERS = {
    "association-images": association_images,
    "cmpc-audio": cmpc_audio,
    "cmpc-face-encoder": cmpc_encoder,
    "cmpc-model": cmpc_model,
    "cmpc-voice-encoder": cmpc_encoder,
    "cmpc2-audio": cmpc2_audio,
    "ir-se50": ir_se50,
    "sss-audio": sss_audio,
    "sss-embedding-heads": sss_embedding_heads,
    "sss-face-encoder": sss_face_encoder,
    "sss-model": sss_model,
    "sss-voice-encoder": sss_voice_encoder,
}
