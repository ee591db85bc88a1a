"""The published lists of SSS on files made here, against figures reckoned by hand."""

import wave

import numpy as np
import pytest
import torch
from PIL import Image

from voicemesh.evaluation import sss_lists
from voicemesh.nets.sss import IrFaceEncoder, ThinVoiceEncoder
from voicemesh.nets.sss_small import PortraitFaceEncoder
from voicemesh.systems.sss import SeekingTheShapeOfSound

VIDEO = "abcdefghijk"


@pytest.fixture(scope="module")
def space():
    torch.manual_seed(3)
    voice = ThinVoiceEncoder((1, 1), (8, 8), 6, 5)
    return SeekingTheShapeOfSound(voice, IrFaceEncoder((1,) * 4, (4, 4, 4, 5), 112, 6, 5, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where, rng = tmp_path_factory.mktemp("published"), np.random.default_rng(0)
    rows = ["VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set"]
    for n in range(3):
        rows.append(f"id{n},Name_{n},m,UK,test")
        voices, faces = where / "wav" / f"id{n}" / VIDEO, where / "VGG_ALL_FRONTAL" / f"Name_{n}"
        for made in (voices, faces):
            made.mkdir(parents=True)
        with wave.open(str(voices / "00001.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(rng.integers(-9000, 9000, 4000 + 500 * n).astype("<i2").tobytes())
        pixels = rng.integers(0, 256, (112, 112, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(faces / "00000001.jpg")
    lists, heard = where / "list_wav", [f"id{n}/{VIDEO}/00001.wav" for n in range(3)]
    lists.mkdir()
    seen = [f"Name_{n}/00000001.jpg" for n in range(3)]
    (lists / "vox1_test.csv").write_text("\n".join(rows))
    triples = [f"{heard[n]} {seen[n]} {seen[(n + 1) % 3]}" for n in range(3)]
    (lists / "match_v2f_2_test").write_text("\n".join(triples))
    pairs = [f"{face} {voice}" for face in seen for voice in heard]
    (lists / "verify_f2v_test").write_text("\n".join(pairs))
    (lists / "reterival_v2f_test").write_text(" ".join(heard) + "\n" + " ".join(seen))
    return where


def test_figures_are_those_of_the_scores(space, folder):
    found = sss_lists.evaluate(space, folder)
    names = sorted((folder / "wav").rglob("*.wav")), sorted((folder / "VGG_ALL_FRONTAL").rglob("*"))
    voices = [sss_lists.heard(path) for path in names[0]]
    faces = [sss_lists.seen(path) for path in names[1] if path.suffix == ".jpg"]
    with torch.inference_mode():
        units = [
            torch.nn.functional.normalize(net(torch.stack(items)))
            for net, items in ((space.voice, voices), (space.face, faces))
        ]
    scores = (units[0] @ units[1].T).numpy()
    own, other = np.diag(scores), scores[range(3), [1, 2, 0]]
    assert found["match_v2f_2_test"] == pytest.approx((own > other).mean())
    wrong = scores[~np.eye(3, dtype=bool)]
    assert found["verify_f2v_test"] == pytest.approx((own[:, None] > wrong).mean())
    ranks = (scores >= own[:, None]).sum(1)
    assert found["reterival_v2f_test"] == pytest.approx((1 / ranks).mean())
    assert "match_v2f_2_test        accuracy" in sss_lists.table(found)


def test_small_nets_and_empty_folders_are_refused(space, folder, tmp_path):
    small = SeekingTheShapeOfSound(space.voice, PortraitFaceEncoder(24, (1,), (4,), 6, 5))
    with pytest.raises(ValueError, match="nets of the published layout; convert one"):
        sss_lists.evaluate(small, folder)
    (tmp_path / "list_wav").mkdir()
    with pytest.raises(ValueError, match="holds no list named match, verify, reterival_"):
        sss_lists.evaluate(space, tmp_path)
    assert sss_lists.is_layout(folder) and not sss_lists.is_layout(tmp_path)


def test_wav_files_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(200))
    with pytest.raises(ValueError, match="8000 Hz and 16 bits; SSS reads 16 bits at 16000 Hz"):
        sss_lists.read_wav(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no PCM WAV file"):
        sss_lists.read_wav(path)
