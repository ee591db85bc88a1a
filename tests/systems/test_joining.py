"""Joining recordings: as near to what was drawn as anything linear, nearer with every one."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from evaluation.toys import toy_face_model

from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder, VoiceTraits
from voicemesh.systems import fusion
from voicemesh.systems.cmp import CrossModalPerceptionist, front_end_of
from voicemesh.systems.joining import Joining

SIZE, TOLD, PEOPLE = 4, 43, 4000


def known() -> Joining:
    """Embeddings of four numbers; what is told follows the person's own share of them."""
    turn = torch.linspace(-1, 1, SIZE * TOLD).reshape(SIZE, TOLD)
    person = torch.tensor([[0.3, 0.2, 0.5, 0.4], [1.0, 0.5, 0.2, 0.1]]).diag_embed()
    session = torch.tensor([[0.6, 0.1, 0.2, 0.5], [0.2, 0.5, 0.8, 0.1]]).diag_embed()
    usual = torch.stack([-torch.ones(SIZE), torch.ones(SIZE)])
    return Joining(
        usual=usual,
        person=person,
        session=session,
        told=usual @ turn,
        ties=person @ turn,
        evidence=torch.tensor([0.9, 0.1, 0.5]),
        doubts=torch.tensor([0.05, 0.02, 0.01]),
    )


def drawn(joining: Joining, count: int, mode: int = 1):
    """Mean embeddings of people of one sex, and what is to be told of them."""
    stays = torch.randn(PEOPLE, SIZE) @ joining.person[mode].sqrt()
    days = torch.randn(PEOPLE, count, SIZE) @ joining.session[mode].sqrt()
    turn = torch.linalg.solve(joining.person[mode], joining.ties[mode])
    return joining.usual[mode] + stays + days.mean(1), joining.told[mode] + stays @ turn


@pytest.mark.parametrize("mode", [0, 1])
def test_nothing_linear_is_nearer_to_the_truth(mode):
    joining, sure = known(), torch.full((PEOPLE,), 60.0 if mode else -60.0)
    for count in (1, 3):
        means, truth = drawn(joining, count, mode)
        told = joining.expect(means, sure, count)[1]
        ones = torch.cat([means, torch.ones(PEOPLE, 1)], 1)
        best = ones @ torch.linalg.lstsq(ones, truth).solution
        error, least = (truth - told).square().mean(), (truth - best).square().mean()
        assert least <= error < 1.01 * least
        for other in (count + 2,):  # another number of recordings is not as good
            wrong = joining.expect(means, sure, other)[1]
            assert (truth - wrong).square().mean() > 1.01 * error


def test_what_is_won_is_what_errors_lose():
    joining, sure = known(), torch.full((PEOPLE,), 60.0)
    joining = replace(joining, doubts=torch.zeros(3))
    squares = {1: 0.0, 4: 0.0}
    for mode, count in product((0, 1), squares):
        means, truth = drawn(joining, count, mode)
        away = truth - joining.expect(means, sure if mode else -sure, count)[1]
        squares[count] += float(away.square().sum(1).mean()) / 2
    won = float(joining.gained(4).trace())
    assert won == pytest.approx(squares[1] - squares[4], rel=0.1)
    assert float(joining.gained(1).abs().max()) == 0


def test_what_is_won_holds_the_sex_that_becomes_surer():
    """As far as doubts are known: of more recordings than that, no more is promised."""
    joining = known()
    within, apart = replace(joining, doubts=torch.zeros(3)), joining.told[1] - joining.told[0]
    for count, surer in ((2, 0.03), (3, 0.04), (9, 0.04)):
        more = joining.gained(count) - within.gained(count)
        torch.testing.assert_close(more.float(), surer * torch.outer(apart, apart))


def test_evidence_adds_up_less_by_what_is_shared():
    joining, mean = known(), torch.tensor([2.0])
    odds = [float(joining.log_odds(mean, count)) for count in (1, 2, 1000)]
    assert odds == pytest.approx([1.9, 0.1 + 1.8 * 2 / 1.5, 0.1 + 1.8 / 0.5], rel=1e-2)
    alone = replace(joining, evidence=torch.tensor([0.9, 0.1, 0.0]))
    assert float(alone.log_odds(mean, 3)) == pytest.approx(0.1 + 3 * 1.8)


def test_an_open_sex_gives_the_mean_of_both():
    joining = replace(known(), evidence=torch.tensor([1.0, 0.0, 0.5]))
    means, _ = drawn(joining, 1)
    men, women, open_ = (
        joining.expect(means, torch.full((PEOPLE,), odds), 1)[1] for odds in (-60.0, 60.0, 0.0)
    )
    torch.testing.assert_close(open_, (men + women) / 2, atol=1e-4, rtol=1e-4)


def test_a_part_may_lack_it():
    joining = known()
    again = Joining.of(joining.tensors())
    assert again is not None and torch.equal(again.ties, joining.ties)
    some = {name: value for name, value in joining.tensors().items() if "ties" not in name}
    assert Joining.of(some) is None


@pytest.fixture
def system() -> CrossModalPerceptionist:
    torch.manual_seed(0)
    voice = VoiceEncoder(112, (8, 8), SIZE)
    nets = voice, SupervisedHead(SIZE), toy_face_model(), VoiceTraits(SIZE)
    statistics = {
        f"{name}_scale": torch.tensor([1.0, 0.1]) for name in ("log_f0", "log_vtl", "age")
    }
    return CrossModalPerceptionist(front_end_of(voice), *nets, statistics, joining=known())


def test_a_system_tells_one_and_several(system):
    units = torch.nn.functional.normalize(torch.randn(3, 5, SIZE), dim=-1)
    each = [system.perceive_embedding(unit) for unit in units]
    odds = torch.stack([system.traits(unit)[:, 0] for unit in units])
    alone = system.joining.expect(units[0], odds[0], 1)[1]
    torch.testing.assert_close(each[0].shape_params, alone[:, :40])
    torch.testing.assert_close(each[0].pitch_hz.log(), 1 + 0.1 * alone[:, 40])
    together = fusion.together(system, each)
    told = system.joining.expect(units.mean(0), odds.mean(0), 3)[1]
    torch.testing.assert_close(together.shape_params, told[:, :40])
    torch.testing.assert_close(together.age, 1 + 0.1 * told[:, 42])
    torch.testing.assert_close(together.traits[:, 0], system.joining.log_odds(odds.mean(0), 3))
    of_the_head = system.head(units.mean(0))
    torch.testing.assert_close(together.parameters[:, 0], of_the_head[:, 0])
    torch.testing.assert_close(together.expression_params, of_the_head[:, 41:])
    torch.testing.assert_close(together.embedding.norm(dim=1), torch.ones(5))
    same_day = system.perceive_several(units, days=1)
    assert not torch.allclose(same_day.shape_params, together.shape_params)


def test_a_system_without_it_says_so(system):
    system.joining = None
    with pytest.raises(ValueError, match="how recordings are joined"):
        system.perceive_several(torch.randn(2, 1, SIZE))
