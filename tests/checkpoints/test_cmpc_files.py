"""VoiceStyle's memory and table, read safely and turned into parts of a bundle."""

import pytest
import torch

from voicemesh import cli
from voicemesh.checkpoints import cmpc_files
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.nets.cmpc import VoiceFacePair
from voicemesh.systems.cmpc import Cmpc2
from voicemesh.systems.cmpc_prototypes import Prototypes

PEOPLE = ("Ärmel_A", "Ärmel_A", "Bo_B", "Cy_C", "Bo_B")


@pytest.fixture
def folder(tmp_path):
    """A download of tiny files: nets, memory (lists and tensors of any kind), table."""
    net = VoiceFacePair((1, 1), (4, 6))
    torch.save({"epoch": 9, "model": net.state_dict()}, tmp_path / "model_best_256.pth.tar")
    centroids = [torch.randn(2, 6), torch.randn(3, 6, dtype=torch.float64)]
    members = [[0, 1, 1, 0, 1], torch.tensor([2, 0, 1, 1, 2])]
    memory = {"centroids": centroids, "inst2cluster": members, "density": [1.0]}
    (tmp_path / "deeper").mkdir()
    torch.save(memory, tmp_path / "deeper/frame_memory_best_256.pth.tar")
    write_table(tmp_path / "training.csv", PEOPLE)
    return tmp_path


def write_table(path, people):
    head = "VGGFace1 ID,split,VoxCeleb1 ID,Gender,Nationality,Set,video_id\n"
    rows = (f"{name},1,id1,f,UK,dev,v{number}\n" for number, name in enumerate(people))
    path.write_text(head + "".join(rows), encoding="utf-8")


def memory_of(folder):
    return folder / "deeper/frame_memory_best_256.pth.tar"


def test_a_download_becomes_a_bundle(folder, tmp_path):
    out = tmp_path / "bundle"
    assert cli.main(["convert", "cmpc", str(folder), "--out", str(out)]) == 0
    bundle = Bundle.open(out)
    assert sorted(bundle.parts) == ["cmpc-face-encoder", "cmpc-prototypes", "cmpc-voice-encoder"]
    assert "training.csv, sha256" in bundle.part("cmpc-prototypes").source
    prototypes, voice = Prototypes.from_bundle(bundle), torch.randn(6)
    assert prototypes.names[2] == "Bo_B/1.6/v2"
    assert prototypes.person.tolist() == [0, 0, 1, 2, 1]
    assert prototypes.picture.tolist() == [0, 1, 0, 0, 1]
    level = torch.nn.functional.normalize(prototypes.centroids[1])
    best = int((level @ voice).argmax())
    target = [n for n, own in enumerate([2, 0, 1, 1, 2]) if own == best]
    assert prototypes.published_members(voice, 1000, 1).tolist() == target
    assert Cmpc2.from_bundle(bundle).embed_voice(torch.randn(20_000)).shape == (6,)


def test_either_half_of_a_download_will_do(folder):
    memory_of(folder).unlink()
    assert sorted(cmpc_files.find(folder)) == ["cmpc-face-encoder", "cmpc-voice-encoder"]
    (folder / "model_best_256.pth.tar").unlink()
    with pytest.raises(ValueError, match="holds no files of CMPC; put model_best_256"):
        cmpc_files.find(folder)


def test_files_of_different_trainings_are_refused(folder):
    write_table(folder / "training.csv", PEOPLE[:4])
    with pytest.raises(ValueError, match=r"assigns 5 videos, .* names 4"):
        cmpc_files.find(folder)
    (folder / "training.csv").unlink()
    with pytest.raises(ValueError, match=r"needs training\.csv"):
        cmpc_files.find(folder)


def test_memories_with_faults_are_refused(folder):
    path = memory_of(folder)
    for content, fault in (
        ([1], "is no memory of CMPC"),
        ({"centroids": [], "inst2cluster": []}, "has 0 levels"),
        ({"centroids": [torch.ones(2, 6)], "inst2cluster": [[0, 2]]}, "beyond its 2 centroids"),
        ({"centroids": [torch.ones(2, 6)], "inst2cluster": [[]]}, "has no videos in its clusters"),
        ({"centroids": 3, "inst2cluster": [[0]]}, "are no lists"),
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=fault):
            cmpc_files.memory_levels(path)

    torch.save({"centroids": Bundle, "inst2cluster": []}, path)
    with pytest.raises(ValueError, match="which is more than data"):
        cmpc_files.memory_levels(path)


def test_tables_with_faults_are_refused(tmp_path):
    path = tmp_path / "training.csv"
    path.write_text("VGGFace1 ID,video\nBo_B,v\n")
    with pytest.raises(ValueError, match="has no column video_id"):
        cmpc_files.video_names(path)
    for row in (b"Bo_B", b"Bo_B,", b"\0,v", b'"Bo_B,v'):
        path.write_bytes(b"VGGFace1 ID,video_id\n" + row + b"\n")
        with pytest.raises(ValueError, match="without a name and a video"):
            cmpc_files.video_names(path)
    path.write_bytes(b"VGGFace1 ID,video_id\nB\xf6,v\n")
    with pytest.raises(ValueError, match=r"training\.csv is no table in UTF-8"):
        cmpc_files.video_names(path)
    path.write_text("VGGFace1 ID,video_id\n../x,v\n")
    with pytest.raises(ValueError, match="without a name and a video"):
        cmpc_files.video_names(path)


def test_pictures_of_a_person_are_counted():
    assert cmpc_files.turns([7, 7, 3, 7, 3, 7]).tolist() == [0, 1, 0, 2, 1, 3]
