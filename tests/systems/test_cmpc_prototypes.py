"""Neighbours of a voice among prototypes, and small nets that say what they read."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from voicemesh.audio.features import FRONT_ENDS
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.parts import CMPC_PROTOTYPES
from voicemesh.nets.cmpc import FeatureVoiceEncoder, GridFaceEncoder
from voicemesh.systems.cmpc import Cmpc, Cmpc2
from voicemesh.systems.cmpc_prototypes import Prototypes, turn_of


def small() -> Prototypes:
    """Nine faces of three people around two and four centroids."""
    faces = F.normalize(torch.randn(9, 6))
    centroids = F.normalize(torch.randn(2, 6)), F.normalize(torch.randn(4, 6))
    return Prototypes(
        centroids,
        tuple((faces @ level.T).argmax(1) for level in centroids),
        torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2]),
        torch.tensor([0, 1, 2] * 3),
        tuple(f"Ä_{n // 3}/1.6/{n}" for n in range(9)),
        faces,
    )


def test_the_published_search_takes_whole_clusters_in_table_order():
    prototypes, voice = small(), torch.randn(6)
    level = prototypes.centroids[1]
    order = torch.cdist(F.normalize(voice[None], dim=1), level)[0].argsort()
    target = [n for n, own in enumerate(prototypes.assignment[1]) if own in order[:2]]
    assert prototypes.published_members(voice, 1000, 2).tolist() == target
    longer = Prototypes((level, 3 * level), prototypes.assignment, *vars_of(prototypes))
    assert longer.published_members(voice, 1000, 2).tolist() == target  # directions alone count
    with pytest.raises(ValueError, match="no level of 1500 clusters; ask for 500 to 1000"):
        prototypes.published_members(voice, 1500)


def vars_of(prototypes):
    return prototypes.person, prototypes.picture, prototypes.names, prototypes.faces


def test_the_nearest_are_ranked_and_few_of_one_person():
    prototypes = small()
    voice = prototypes.faces[4] + 0.3 * prototypes.faces[3] + 0.1 * prototypes.faces[8]
    found = prototypes.nearest(voice, count=4, per_person=2, temperature=0.1)
    assert found.rows[0] == 4
    assert (found.similarity.diff() <= 0).all()
    assert prototypes.person[found.rows].bincount().max() == 2
    cosine = F.cosine_similarity(prototypes.faces, voice[None])
    torch.testing.assert_close(found.similarity, cosine[found.rows])
    torch.testing.assert_close(found.weights, (found.similarity / 0.1).softmax(0))
    one_each = prototypes.nearest(voice, count=8)
    best = [int(cosine[3 * p : 3 * p + 3].argmax()) + 3 * p for p in range(3)]
    assert sorted(one_each.rows.tolist()) == best


def test_centroids_stand_for_faces_that_are_not_there():
    whole = small()
    bare = Prototypes(whole.centroids, whole.assignment, whole.person, whole.picture)
    voice = whole.centroids[1][2]
    rows = bare.nearest(voice, count=9, per_person=9).rows
    own = whole.assignment[1][rows] == 2
    assert own[: int(own.sum())].all()


def test_turns_count_what_came_before():
    assert turn_of(torch.tensor([5, 2, 5, 5, 2])).tolist() == [0, 0, 1, 2, 1]


def test_prototypes_travel_in_a_bundle(tmp_path):
    prototypes, voice = small(), torch.randn(6)
    writer = BundleWriter(tmp_path, "small")
    writer.tensors(CMPC_PROTOTYPES, prototypes.tensors())
    opened = Prototypes.from_bundle(Bundle.open(tmp_path))
    assert opened.names == prototypes.names
    ours, theirs = opened.nearest(voice), prototypes.nearest(voice)
    assert torch.equal(ours.rows, theirs.rows)
    torch.testing.assert_close(ours.weights, theirs.weights, atol=1e-2, rtol=0)
    with pytest.raises(ValueError, match="Prototypes lack assignment_1"):
        tensors = prototypes.tensors()
        del tensors["assignment_1"]
        Prototypes.from_tensors(tensors)


@pytest.mark.parametrize("seconds", [1.2, 9.0])
def test_small_nets_of_a_bundle_say_what_they_read(tmp_path, seconds):
    voice = FeatureVoiceEncoder("voicemesh", 112, (4, 4), 5)
    face = GridFaceEncoder(24, (1, 1), (4, 6), 2, 5)
    writer = BundleWriter(tmp_path, "small")
    arguments = {"front_end": "voicemesh", "channels": 112, "widths": [4, 4], "embedding": 5}
    writer.net("cmpc-voice-encoder", voice, arguments)
    arguments = {"side": 24, "blocks": [1, 1], "widths": [4, 6], "grid": 2, "embedding": 5}
    writer.net("cmpc-face-encoder", face, arguments)
    for kind in (Cmpc, Cmpc2):
        system = kind.from_bundle(Bundle.open(tmp_path))
        assert system.convention.side == 24
        speech = torch.randn(int(16_000 * seconds))
        with torch.inference_mode():
            features = FRONT_ENDS["voicemesh"](speech[None])
            target = F.normalize(voice.eval()(features))[0]
        torch.testing.assert_close(system.embed_voice(speech), target)
        assert system.embed_faces([np.zeros((30, 30, 3), np.uint8)]).shape == (1, 5)
