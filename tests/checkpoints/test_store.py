"""Files that describe themselves, and strict loading."""

import pytest
import torch
from torch import nn

from voicemesh.checkpoints import store
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder

ARGUMENTS = {"input_channels": 5, "widths": (6, 7), "embedding": 3}


@pytest.fixture
def net() -> VoiceEncoder:
    return VoiceEncoder(**ARGUMENTS).eval()


def test_a_net_comes_back_from_its_file(net, tmp_path):
    store.save_net(tmp_path / "net.safetensors", net, ARGUMENTS, source="here")
    again = store.load_net(tmp_path / "net.safetensors")
    features = torch.randn(2, 5, 20)
    torch.testing.assert_close(again(features), net(features), rtol=0, atol=0)
    assert not again.training
    _, header = store.load(tmp_path / "net.safetensors")
    assert header == {
        "net": "VoiceEncoder",
        "arguments": {"input_channels": 5, "widths": [6, 7], "embedding": 3},
        "source": "here",
    }


def test_transposed_tensors_can_be_saved(tmp_path):
    store.save(tmp_path / "a.safetensors", {"a": torch.arange(6).reshape(2, 3).T}, {})
    tensors, header = store.load(tmp_path / "a.safetensors")
    assert tensors["a"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert header == {}


def test_all_faults_are_in_one_sorted_message(net):
    state = net.state_dict()
    del state["model.1.bias"]
    state["model.0.weight"] = torch.zeros(2, 2)
    state["zebra"] = state["ape"] = torch.zeros(1)
    with pytest.raises(ValueError) as caught:
        store.fill(net, state, "voice.pth")
    assert str(caught.value) == (
        "voice.pth does not fit VoiceEncoder: ape: unexpected; "
        "model.0.weight: shape (2, 2) instead of (6, 5, 3); model.1.bias: missing; "
        "zebra: unexpected"
    )


def test_as_many_numbers_in_another_shape_do_not_fit(net):
    state = net.state_dict()
    state["model.0.weight"] = state["model.0.weight"].transpose(0, 1)
    with pytest.raises(ValueError, match=r"0\.weight: shape \(5, 6, 3\) instead of \(6, 5, 3\)"):
        store.fill(net, state, "x")


def test_filling_leaves_a_net_ready_to_infer(net):
    half = {key: v.half() if v.is_floating_point() else v for key, v in net.state_dict().items()}
    filled = store.fill(VoiceEncoder(**ARGUMENTS).train(), half, "x")
    assert not filled.training
    assert filled.model[0].weight.dtype == torch.float32
    torch.testing.assert_close(filled.model[0].weight, net.model[0].weight, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "arguments", "fault"),
    [
        ("Unheard", {}, "x: no net 'Unheard'; known are .*SupervisedHead, .*VoiceEncoder"),
        ("SupervisedHead", {"colour": 3}, "x: SupervisedHead cannot be built from .*colour"),
    ],
)
def test_unknown_nets_and_arguments(name, arguments, fault):
    with pytest.raises(ValueError, match=fault):
        store.net_of(name, arguments, SupervisedHead().state_dict(), "x")


def test_files_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="There is no file"):
        store.load(tmp_path / "gone.safetensors")
    path = tmp_path / "text.safetensors"
    for content in (b"", b"hello", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"text\.safetensors is no safetensors file"):
            store.load(path)


def test_headers_that_lie(tmp_path):
    path = tmp_path / "lies.safetensors"
    store.save(path, {"a": torch.arange(4.0)}, {"arguments": {}})
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    for lie in (
        content.replace(b'"shape":[4]', b'"shape":[9]'),
        content.replace(b"[0,16]", b"[0,99]"),
        content.replace(b"[0,16]", b"[8,16]"),
        (2**62).to_bytes(8, "little") + content[8:],
        content[:-1],
    ):
        path.write_bytes(lie)
        with pytest.raises(ValueError, match=r"lies\.safetensors is no safetensors file"):
            store.load(path)
    assert size and content.count(b'"{}"') == 1
    path.write_bytes(content.replace(b'"{}"', b'"{:"'))
    with pytest.raises(ValueError, match="the arguments in its header are no JSON"):
        store.load(path)
    path.write_bytes(content.replace(b'"{}"', b'"[]"'))
    with pytest.raises(ValueError, match="the arguments in its header are no JSON object"):
        store.load(path)
    store.save(path, {"a": torch.arange(4.0)}, {"arguments": "[" * 50_000})
    with pytest.raises(ValueError, match=r"the arguments in its header are no JSON: .*recursion"):
        store.load(path)


def test_every_listed_net_is_a_module():
    assert all(issubclass(net, nn.Module) for net in store.NETS.values())


def test_equal_content_makes_equal_bytes():
    tensors = {"b": torch.ones(3), "a": torch.zeros(2, 2)}
    words = {"net": "x", "arguments": {"q": 1}, "more": "1"}
    contents = {store.packed(tensors, words) for _ in range(10)}
    assert len(contents) == 1
    found, header = store.unpacked(contents.pop(), "here")
    assert torch.equal(found["b"], tensors["b"]) and header == words


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("VoiceEncoder", {"embedding": 10**9}),
        ("TrunkVoiceEncoder", {"blocks": [1, 1, 1, 10**9]}),
        ("Generator", {"widths": [4, 4], "style": 8, "depth": 10**9}),
        ("Generator", {"widths": [4] * 20}),
    ],
)
def test_nets_that_ask_for_more_than_their_file_holds(name, more):
    with pytest.raises(ValueError, match=f"x: {name} cannot be built .* than the 3,315 that the"):
        store.net_of(name, more, SupervisedHead().state_dict(), "x")
