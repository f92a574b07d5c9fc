"""What identifies a pipeline's weights in a file: 16 bits of a hash over the tensors that draw.

    components but the segmenter ──names, shapes, values in float16──▶ SHA-256 ──▶ 1 … 65535

Values are rounded to float16 first, and files play no part. So a plain, a sharded and a float16 copy have one hash, and
a float32 copy of float16 weights has it too: they draw the same pictures to rounding. A copy in bfloat16 has lost eleven
bits that show, and has another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

UNKNOWN = 0  # nothing that draws has weights

_digests: WeakKeyDictionary[nn.Module, bytes] = WeakKeyDictionary()  # a component is hashed once


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
        if network not in _digests:
            _digests[network] = _hash_tensors(network)
        digest.update(name.encode() + b"\0" + _digests[network])
    return int.from_bytes(digest.digest()[:2], "little") or 1


def _hash_tensors(network: nn.Module) -> bytes:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        values = tensor.detach()
        if values.is_floating_point():
            values = values.to(torch.float16)
        digest.update(f"{name} {tuple(values.shape)}\0".encode())
        digest.update(values.cpu().contiguous().numpy().tobytes())
    return digest.digest()
