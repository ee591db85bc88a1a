"""Several recordings of one voice: what averaging wins is what sessions add, and no more."""

import torch

from voicemesh.systems.cmp import Perception
from voicemesh.systems.fusion import (
    Repeats,
    interval_shares,
    left_after,
    mean_of,
    without_negatives,
)

SIZE = 3


def drawn(people: int = 4000, sessions: int = 3, seed: int = 0):
    """Readings of people, and the quantity that they were made to predict."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    stay = torch.tensor([[1.0, 0.3, 0.0], [0.0, 0.8, 0.1], [0.0, 0.0, 0.5]], dtype=torch.float64)
    whim = torch.tensor([0.2, 0.5, 0.4], dtype=torch.float64)
    person = normal(people, SIZE) @ stay
    truth = person + 2 * normal(people, SIZE)
    readings = person[:, None] + whim * normal(people, sessions, SIZE)
    return truth.float(), readings.float(), stay.T @ stay, whim.square()


def test_covariances_are_told_apart():
    _, readings, person, session = drawn()
    who = torch.arange(len(readings)).repeat_interleave(readings.shape[1])
    told = Repeats.measured(readings.flatten(0, 1), who)
    torch.testing.assert_close(told.session.double(), torch.diag(session), atol=0.02, rtol=0)
    torch.testing.assert_close(told.person.double(), person, atol=0.06, rtol=0)
    again = Repeats.of(told.tensors("x_"), "x_")
    assert torch.equal(again.session, told.session) and torch.equal(again.person, told.person)


def test_people_of_one_recording_and_of_many_are_told_apart_alike():
    """The mean of a single recording holds all that its session adds, and is not counted twice."""
    _, readings, person, session = drawn(sessions=8)
    kept = torch.arange(8)[None] < torch.where(torch.arange(len(readings)) % 4 == 0, 8, 1)[:, None]
    who = torch.arange(len(readings))[:, None].expand_as(kept)
    told = Repeats.measured(readings[kept], who[kept])
    torch.testing.assert_close(told.session.double(), torch.diag(session), atol=0.02, rtol=0)
    torch.testing.assert_close(told.person.double(), person, atol=0.06, rtol=0)


def test_errors_shrink_as_told_and_not_to_nothing():
    truth, readings, person, session = drawn(20_000)
    repeats = Repeats(torch.diag(session).float(), person.float())
    first = truth - readings[:, 0]
    before = first.T @ first / len(first)
    for count in (2, 3):
        error = truth - readings[:, :count].mean(1)
        found = error.T @ error / len(error)
        left = left_after(repeats.gained(count), before)
        torch.testing.assert_close(left, found, atol=0.12, rtol=0)
    forever = left_after(repeats.gained(10**6), before)
    assert forever.diagonal().min() > 3.5  # the four that no voice tells, but for chance


def test_shares_compare_deviations():
    jacobian, before = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]]), torch.eye(SIZE)
    after = torch.diag(torch.tensor([0.25, 1.0, 1.0]))
    torch.testing.assert_close(
        interval_shares(jacobian, before, after), torch.tensor([0.5, 1.0]), rtol=1e-5, atol=0
    )


def test_no_negative_variance():
    mended = without_negatives(torch.diag(torch.tensor([1.0, -0.5])))
    torch.testing.assert_close(mended, torch.diag(torch.tensor([1.0, 0.0])))


def heard(embedding, pitch) -> Perception:
    shape = torch.tensor([embedding[:1]])
    return Perception(
        embedding=torch.tensor([embedding]),
        parameters=torch.cat([shape, shape], 1),
        shape_params=shape,
        expression_params=shape,
        traits=None,
        pitch_hz=torch.tensor([pitch]),
        tract_cm=None,
        age=torch.tensor([pitch / 10]),
    )


def test_means_keep_length_one_and_multiply_pitches():
    both = mean_of([heard([1.0, 0.0], 100.0), heard([0.0, 1.0], 400.0)])
    torch.testing.assert_close(both.embedding, torch.full((1, 2), 0.5**0.5))
    torch.testing.assert_close(both.shape_params, torch.tensor([[0.5]]))
    torch.testing.assert_close(both.pitch_hz, torch.tensor([200.0]))
    torch.testing.assert_close(both.age, torch.tensor([25.0]))
    assert both.traits is None and both.tract_cm is None
