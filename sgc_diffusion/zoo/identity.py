"""What identifies a pipeline's weights in a file: 16 bits of a hash over the tensors that draw.

    components but the segmenter ──names, shapes, values in float16──▶ SHA-256 ──▶ 1 … 65535

Values are rounded to float16 first, and files play no part. So a plain, a sharded and a float16 copy have one hash, and
a float32 copy of any of them has it too: they draw the same pictures to rounding. A copy in bfloat16 keeps 8 bits of
each value where float16 keeps 11, which shows in the pictures, so it has another hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import torch
from accelerate.utils.modeling import get_state_dict_offloaded_model
from torch import nn

UNKNOWN = 0  # nothing that draws has weights

# A network is hashed again when its tensors have changed: the embedded one takes 60 ms, Stable Diffusion two seconds,
# and to see whether they have, 1 ms.
_digests: WeakKeyDictionary[nn.Module, tuple[list[Any], bytes]] = WeakKeyDictionary()


def hash_components(components: Mapping[str, Any]) -> int:
    """Return the hash of the networks among a pipeline's components, or 0 if there is none.

    Args:
        components: those that draw, by name; what is no network is passed over.
    """
    networks = {name: part for name, part in sorted(components.items()) if isinstance(part, nn.Module)}
    if not networks:
        return UNKNOWN
    digest = hashlib.sha256()
    for name, network in networks.items():
        digest.update(name.encode() + b"\0" + _digest(getattr(network, "_orig_mod", network)))  # not what compiles it
    return int.from_bytes(digest.digest()[:2], "little") or 1


def _digest(network: nn.Module) -> bytes:
    """Return the digest of a network's tensors, from memory unless they have changed since."""
    state = list(_describe_state(network))
    known = _digests.get(network)
    if known is None or known[0] != state:
        known = _digests[network] = state, _hash_tensors(network)
    return known[1]


def _describe_state(network: nn.Module) -> Iterator[Any]:
    """Yield what tells that a tensor was changed: its type, how often it was written to, and its first value.

    torch does not count what is written through `.data`, as moving averages of weights and merged adapters are; such
    writes change whole tensors, so the first value tells them. Where a tensor lies plays no part: offloading moves it.
    """
    for tensor in chain(network.parameters(), network.buffers()):
        yield tensor.dtype
        yield 0 if tensor.is_inference() else tensor._version
        yield None if tensor.is_meta else tensor[(slice(1),) * tensor.ndim].tolist()


def _hash_tensors(network: nn.Module) -> bytes:
    tensors = network.state_dict()
    if any(tensor.is_meta for tensor in tensors.values()):  # layers that are offloaded one by one keep theirs elsewhere
        tensors = get_state_dict_offloaded_model(network)
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach()
        if values.is_floating_point():
            values = values.to(torch.float16)
        digest.update(f"{name} {tuple(values.shape)}\0".encode())
        digest.update(values.cpu().contiguous().numpy().tobytes())
    return digest.digest()
