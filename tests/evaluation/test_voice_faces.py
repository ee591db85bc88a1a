"""The whole evaluation on a toy population: who is heard and seen, what stands beside."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from evaluation.toys import toy_population, toy_portraits

from voicemesh.evaluation import voice_faces
from voicemesh.evaluation.association import DIRECTIONS, Side
from voicemesh.population import likelihood
from voicemesh.systems.association import VoiceFaceSpace


class Loudness(VoiceFaceSpace):
    """Hears how long and how strong a voice is, sees how bright the halves of a picture are."""

    def __init__(self) -> None:
        self.voice = None

    def windows(self, speech):
        return speech[None]

    def told(self, speech):
        return F.normalize(torch.tensor([len(speech) / 16_000, float(speech.std())]), dim=0)

    def embed_faces(self, pictures):
        halves = [[p[:8].mean(), p[8:].mean()] for p in pictures]
        return F.normalize(torch.tensor(halves, dtype=torch.float32))


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    made = toy_population(tmp_path_factory.mktemp("population"), 4, 12)
    toy_portraits(made)
    return made


def test_everybody_held_out_is_heard_and_seen(population):
    found = voice_faces.embed(Loudness(), population, voice_faces.portraits_of(population))
    assert found.who.tolist() == population.validation.tolist()
    # One of the two sessions is raised: it counts as none of the usual ones.
    assert found.names() == {1: "joined"}
    assert found.joined.people.tolist() == list(range(12))
    assert found.faces.people.tolist() == np.repeat(range(12), 2).tolist()
    assert found.seconds == {1: 2.0}


def test_voices_are_averaged_from_disjoint_recordings():
    """What recordings tell is averaged before the net makes an embedding of it."""
    told = [torch.tensor([[3.0, 0], [0, 3], [1, 0]]), torch.tensor([[0.0, 4], [0, 2], [2, 2]])]
    side = voice_faces.averaged(Loudness(), told, np.array([1, 0]), 2)
    assert side.people.tolist() == [1, 0]  # the third recording has none to go with
    np.testing.assert_allclose(side.embeddings, [[0.5**0.5, 0.5**0.5], [0, 1]], rtol=1e-6)
    single = voice_faces.averaged(Loudness(), told, np.array([1, 0]), 1)
    assert single.people.tolist() == [1, 1, 1, 0, 0, 0]
    np.testing.assert_allclose(single.embeddings[2], [1, 0])


def test_a_joined_voice_is_all_of_its_speech():
    loud, quiet = (np.arange(20_000) % 160 * scale for scale in (100, 1))
    whole = voice_faces.together(np.stack([loud, quiet]).astype(np.int16))
    assert 20_000 < len(whole) <= 40_000 and float(whole.abs().max()) == 1
    half = len(whole) // 2
    torch.testing.assert_close(whole[:half].std(), whole[half:].std(), rtol=0.1, atol=0)


def test_chance_sex_and_ceilings_stand_beside_the_system(population, monkeypatch):
    monkeypatch.setattr(likelihood, "DRAWN", 4000)
    portraits = voice_faces.portraits_of(population)
    results, _ = voice_faces.evaluate_population(Loudness(), population, portraits, resamples=20)
    assert set(results["systems"]) == {"joined", "sex oracle", "ceiling", *PICTURED}
    told = voice_faces.report(results, "loudness", "toys")
    assert "loudness, 1 heard (2.0 s)" in told and "to the ceiling of pictures, 1 heard" in told
    way = told.rsplit("\n", 1)[1]
    assert "V -> F" in way and "F -> V" in way and "% in U" in way
    best, knowing = (results["systems"][name] for name in ("ceiling", "sex oracle"))
    for direction in DIRECTIONS:
        assert best[direction]["matching"]["free"]["value"] > 0.6
        assert knowing[direction]["verification"]["free"]["value"] > 0.6


PICTURED = (voice_faces.PICTURED,)


def test_more_is_heard_with_a_ceiling_of_as_many_days(population, monkeypatch):
    monkeypatch.setattr(likelihood, "DRAWN", 4000)
    people, days = population.people.take(population.validation), []
    whole = likelihood.LikelihoodRatio.fit

    def told(cls, coupling, sessions, measures):
        days.append(sessions)
        return whole(coupling, sessions, measures)

    monkeypatch.setattr(likelihood.LikelihoodRatio, "fit", classmethod(told))
    rng, who = np.random.default_rng(0), np.arange(12)
    voices = {
        count: Side(rng.normal(size=(12 * rows, 3)), np.repeat(who, rows))
        for count, rows in ((1, 3), (2, 1), (3, 1))
    }
    faces = Side(rng.normal(size=(12, 3)), who)
    found = voice_faces.Embedded(who, voices, faces, {1: 3.0, 2: 6.0, 3: 9.0})
    results = voice_faces.measured(found, people, 0.8, resamples=20)
    names = {"single", "two", "joined", "sex oracle"}
    kinds = ("ceiling", "ceiling of pictures")
    names |= {kind + which for kind in kinds for which in ("", ", single", ", two")}
    assert set(results["systems"]) == names
    assert results["recordings"] == {"single": 1, "two": 2, "joined": 3}
    assert days == [1, 1, 2, 2, 3, 3]
    told = voice_faces.report(results, "ours", "toys")
    for words in ("ours, 2 heard (6.0 s)", "to the ceiling of pictures, 3 heard"):
        assert words in told
    assert told.count("% of the way") > 20


def test_a_population_without_portraits_is_refused(tmp_path):
    bare = toy_population(tmp_path, 2, 2)
    with pytest.raises(ValueError, match="make them with `picture`"):
        voice_faces.portraits_of(bare)
