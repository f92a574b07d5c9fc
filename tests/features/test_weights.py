"""Files of weights: where they are looked for, how they are fetched, and that nothing in them is executed."""

import hashlib

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants

from sgc_diffusion.features.weights import WeightsError, WeightsFile, fill, find, load_state


@pytest.fixture()
def nothing_cached(monkeypatch, tmp_path):
    """A machine without any weights and without a network."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))  # `set_dir` could not be undone
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *name: None)
    return tmp_path


def test_weights_are_found_by_name_alias_and_in_the_caches(nothing_cached):
    file = WeightsFile("net-0123abcd.pth", "https://example.org/net.pth", ("net.pth",))
    with pytest.raises(WeightsError, match=r"no weights: curl .* -o WEIGHTS_DIR/net-0123abcd.pth https://example.org"):
        find(file, None)
    cached = nothing_cached / "hub" / "pyiqa" / file.name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"1")
    assert find(file, nothing_cached) == cached
    (nothing_cached / "net.pth").write_bytes(b"2")
    assert find(file, nothing_cached) == nothing_cached / "net.pth"


def test_weights_are_fetched_into_the_cache_and_their_hash_is_checked(nothing_cached, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    published = nothing_cached / "published"
    published.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()[:8]
    fetched = find(WeightsFile(f"net-{digest}.pth", published.as_uri()), None)
    assert fetched == nothing_cached / "hub" / "checkpoints" / f"net-{digest}.pth"
    assert fetched.read_bytes() == b"weights"
    with pytest.raises(WeightsError, match=r"no weights \(invalid hash value"):
        find(WeightsFile("net-00000000.pth", published.as_uri()), None)
    with pytest.raises(WeightsError, match=r"no weights \(.*No such file"):
        find(WeightsFile("gone.pth", (nothing_cached / "gone").as_uri()), None)


def test_a_file_of_weights_executes_nothing(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    torch.save({"params": Harmful()}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_state(tmp_path / "bad.pth")
    assert not (tmp_path / "harm").exists()
    (tmp_path / "cut.safetensors").write_bytes(b"12")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_state(tmp_path / "cut.safetensors")
    torch.save({"params": {"module.a": torch.ones(1)}}, tmp_path / "good.pth")
    assert list(load_state(tmp_path / "good.pth")) == ["a"]


def test_a_network_is_filled_whole_or_not_at_all(tmp_path):
    network, state = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3).state_dict()
    filled = fill(network, state, tmp_path / "x.pth")
    assert torch.equal(filled.weight, state["weight"])
    assert not filled.training and not filled.weight.requires_grad
    for wrong in ({"weight": state["weight"]}, state | {"more": torch.ones(1)}, state | {"bias": torch.ones(4)}):
        with pytest.raises(WeightsError, match=r"x.pth holds no weights of Linear: "):
            fill(network, wrong, tmp_path / "x.pth")
