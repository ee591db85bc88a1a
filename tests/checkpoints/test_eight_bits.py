"""Eight bits a weight: how near, what stays whole, and what is refused."""

import pytest
import torch
from torch import nn

from voicemesh.checkpoints import store
from voicemesh.checkpoints.bundle import Bundle, BundleWriter
from voicemesh.checkpoints.eight_bits import narrowed, round_to, widened
from voicemesh.nets.cmp import VoiceEncoder

SIZES = dict(input_channels=40, widths=[96, 100], embedding=5)


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = VoiceEncoder(40, (96, 100), 5).eval()
    with torch.no_grad():
        net.model[0].weight[3] *= 1000  # one row is far larger than the others
        net.model[0].weight[4] = 0
    return net


def test_every_row_is_as_near_as_its_own_largest_value_allows(net):
    kept = narrowed(net.state_dict())
    assert kept["model.0.weight"].dtype == torch.int8 and kept["model.3.weight"].dtype == torch.int8
    assert kept["model.6.weight"] is not None and kept["model.6.weight"].dtype == torch.float32
    found = widened(kept)
    assert found.keys() == net.state_dict().keys()
    for name, value in net.state_dict().items():
        if value.ndim < 2 or value.numel() < 10_000:
            assert torch.equal(found[name], value)
            continue
        largest = value.flatten(1).abs().amax(1)
        off = (found[name] - value).flatten(1).abs().amax(1)
        assert (off <= largest / 253).all() and off.max() > 0
        assert torch.equal(found[name][largest == 0], value[largest == 0])


def test_long_vectors_and_whole_numbers_stay_as_they_are():
    told = {"bias": torch.randn(20_000), "table": torch.arange(20_000).reshape(100, 200)}
    found = narrowed(told)
    assert found.keys() == told.keys()
    assert all(found[name] is value for name, value in told.items())


def test_a_bundle_gives_back_what_was_rounded_to(net, tmp_path):
    writer = BundleWriter(tmp_path, "small")
    writer.net("whole", net, SIZES)
    writer.net("eight", net, SIZES, eight_bits=True)
    sizes = {part: (tmp_path / f"{part}.safetensors").stat().st_size for part in ("whole", "eight")}
    assert sizes["eight"] < 0.35 * sizes["whole"]
    found, speech = Bundle.open(tmp_path).net("eight"), torch.randn(2, 40, 30)
    assert not torch.equal(found(speech), net(speech))
    torch.testing.assert_close(found(speech), round_to(net)(speech), rtol=1e-6, atol=1e-6)


def test_scales_of_other_rows_are_refused(net):
    kept = narrowed(net.state_dict())
    name = "model.0.weight:scale"
    for wrong in (kept | {name: kept[name][:-1]}, kept | {"model.6.weight:scale": torch.ones(5)}):
        with pytest.raises(ValueError, match="holds no scales of the rows of 'model"):
            widened(wrong)
    del kept["model.0.weight"]
    with pytest.raises(ValueError, match=r"no scales of the rows of .model\.0\.weight."):
        store.net_of("VoiceEncoder", SIZES, kept, "a file")
    with pytest.raises(ValueError, match="does not fit Linear: bias: missing"):
        store.fill(nn.Linear(2, 2), widened({"weight": torch.eye(2)}), "a file")
