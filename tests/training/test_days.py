"""Voices of days: those that the recordings were made of, and what they let expect."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.toys import toy_population

from voicemesh.evaluation import expectation
from voicemesh.population.recipe import RAISED
from voicemesh.population.streams import stream
from voicemesh.population.tables import VOICE
from voicemesh.population.voices import draw_effort, in_session
from voicemesh.training.crowd import Crowd
from voicemesh.training.days import Days, DayTargets


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    where = tmp_path_factory.mktemp("population")
    toy_population(where, identities=40, validation=30)
    crowd = Crowd.open(where)
    return crowd, crowd.features("voicemesh")


def test_days_are_those_of_the_recordings(made):
    population, utterances = made
    days = Days.of(population, utterances)
    assert (days.identity[days.of_row] == utterances.identity).all()
    for row in (0, 7, len(utterances.identity) - 1):
        person, session = int(utterances.identity[row]), int(utterances.session[row])
        luck = stream(population.recipe.seed, "session", person, session)
        voice = in_session(population.people, person, luck)
        told = dict(zip(VOICE, days.voice[days.of_row[row]], strict=True))
        assert voice.f0 == pytest.approx(np.exp(told["log_f0"]))
        assert voice.jitter == pytest.approx(np.exp(told["log_jitter"]))
        assert voice.tilt == pytest.approx(told["tilt"])


def test_what_is_asked_is_what_the_day_tells(made, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 20_000)
    population, utterances = made
    days, people = Days.of(population, utterances), population.people
    shapes = torch.from_numpy(people.lengths).float()  # lengths stand for shape parameters
    asked = DayTargets.of(days, population, shapes)
    learnt = torch.from_numpy(np.isin(days.identity, population.train))
    women = torch.from_numpy(people.mode[days.identity] == 1)
    for values in (asked.measures, asked.habits):
        some = values[learnt & women]
        torch.testing.assert_close(some.mean(0), torch.zeros(some.shape[1]), atol=1e-3, rtol=0)
    ages = people.age[days.identity]
    told = 42 + 15 * asked.age.numpy()
    within = [np.corrcoef(ages[s], told[s])[0, 1] for s in (women.numpy(), ~women.numpy())]
    assert np.mean(within) > 0.3  # the law lets .34 of the variance be heard
    assert told.std() < 0.9 * ages.std()


def test_strong_days_are_known(made):
    population, utterances = made
    one = population.populations[0]
    strong = replace(one, recipe=replace(one.recipe, strong=0.4))
    days, usual = Days.of(Crowd((strong,)), utterances), Days.of(population, utterances)
    assert not usual.strong.any() and 0.3 < days.strong.mean() < 0.5
    np.testing.assert_array_equal(days.effort[~days.strong], usual.effort[~days.strong])
    np.testing.assert_array_equal(days.voice, usual.voice)
    men = population.people.mode[days.identity] == 0
    assert days.effort[days.strong & men].min() >= 4 and days.effort[days.strong].max() <= 14


def test_efforts_are_those_of_the_recordings(made, monkeypatch):
    monkeypatch.setattr(expectation, "DRAWN", 5000)
    population, utterances = made
    days, people = Days.of(population, utterances), population.people
    recipe = population.recipe
    last = len(days.identity) - 1
    for day in (0, 5, last):
        row = np.flatnonzero(days.of_row == day)[0]
        person, session = int(utterances.identity[row]), int(utterances.session[row])
        luck = stream(recipe.seed, "effort", person, session)
        told = draw_effort(luck, recipe.calm, recipe.effort, recipe.effort_spread)
        assert days.effort[day] == pytest.approx(RAISED if session == recipe.sessions else told)
    shapes = torch.from_numpy(people.lengths).float()
    asked = DayTargets.of(days, population, shapes)
    louder, pitch = asked.effort.double().unbind(1)
    heard = days.voice[:, VOICE.index("log_f0")] + 2.5 * louder.numpy() * np.log(2) / 12
    np.testing.assert_allclose(pitch, (heard - 5.05) / 0.31, atol=1e-5)
