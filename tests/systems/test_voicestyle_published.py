from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from voicemesh import cli
from voicemesh.checkpoints.bundle import EMBEDDED, Bundle
from voicemesh.nets.cmpc import VoiceFacePair
from voicemesh.nets.stylegan2 import Generator
from voicemesh.systems.voicestyle_published import PublishedVoiceStyle

PEOPLE = ("Ada", "Bea", "Cyd", "Dee")
SPOKEN = sorted((EMBEDDED.parent / "examples").glob("*.flac"))[0]


@pytest.fixture
def bundle(tmp_path) -> Path:
    """Small files of VoiceStyle, converted; each of four people is a cluster of three videos."""
    files, out = tmp_path / "files", tmp_path / "bundle"
    files.mkdir()
    generator = {k: v for k, v in Generator((6, 5), 7, 3).state_dict().items() if "noises" not in k}
    torch.save({"g_ema": generator}, files / "550000.pt")
    pair = VoiceFacePair((1, 1), (4, 6))
    torch.save({"model": pair.state_dict()}, files / "model_best_256.pth.tar")
    whose = torch.arange(4).repeat_interleave(3)
    levels = [torch.nn.functional.normalize(torch.randn(4, 6)) for _ in range(3)]
    memory = {"centroids": levels, "inst2cluster": [whose] * 3}
    torch.save(memory, files / "frame_memory_best_256.pth.tar")
    rows = [f"{PEOPLE[n]},1,id{n},f,X,dev,v{v}" for n in range(4) for v in range(3)]
    head = "VGGFace1 ID,split,VoxCeleb1 ID,Gender,Nationality,Set,video_id"
    (files / "training.csv").write_text("\n".join([head, *rows]) + "\n")
    assert cli.main(["convert", "voicestyle", str(files), "--out", str(out)]) == 0
    return out


def pictured(folder: Path, names: tuple[str, ...]) -> Path:
    """Two pictures of each of these people."""
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 255, (20, 20, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / names[0] / "notes.txt").write_text("no picture")
    return folder


def test_the_nearest_clusters_lead_to_pictures_of_their_people(bundle, tmp_path):
    whole = PublishedVoiceStyle.from_bundle(Bundle.open(bundle))
    voice = torch.nn.functional.normalize(torch.randn(6), dim=0)
    names = whole.people(voice)
    far = (whole.prototypes.centroids[1] @ voice).argmin()
    assert set(names) == set(PEOPLE) - {PEOPLE[far]} and names == sorted(names)
    assert len(names) == 8  # of nine videos
    folder = pictured(tmp_path / "people", (names[0], PEOPLE[far]))
    (chosen,) = whole.pictures(voice, folder)
    assert chosen.parent.name == names[0]
    faces = {file: Image.open(file) for file in folder.glob(f"{names[0]}/*.png")}
    units = whole.system.space.embed_faces([np.asarray(face) for face in faces.values()])
    assert chosen == list(faces)[int((units @ voice).argmax())]
    with pytest.raises(ValueError, match=f"no pictures of the people.*{names[0]}"):
        whole.pictures(voice, tmp_path)
    with pytest.raises(ValueError, match="name nobody"):
        PublishedVoiceStyle.from_bundle(Bundle.open())


def test_a_recording_becomes_images_both_ways(bundle, tmp_path, capsys):
    folder = pictured(tmp_path / "people", PEOPLE)
    asked = ["imagine", str(SPOKEN), "--bundle", str(bundle), "--device", "cpu"]
    for number, way in enumerate((["--people", str(folder)], ["--candidates", "2", "--seed", "3"])):
        out = tmp_path / f"{number}.png"
        assert cli.main([*asked, "--out", str(out), *way]) == 0
        assert Image.open(out).size == (8 * (number + 1), 16)
        before, after = capsys.readouterr().out.split("voice ")[1].split(" -> ")
        assert float(after) >= float(before)
    assert cli.main([*asked, "--out", str(out), "--people", "x", "--candidates", "2"]) == 2
