"""The base of all layer coders, and what a coder may know when it codes its layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from sgc_diffusion.bitstream import tables
from sgc_diffusion.payload import ColorLayer, LabelLayer, Layer

LayerT = TypeVar("LayerT", bound=Layer)


@dataclass(frozen=True, eq=False)
class DecodedLayers:
    """What a reader knows when it comes to a layer, and what the writer therefore may use too.

    Attributes:
        width: of the picture, pixels.
        height: of the picture, pixels.
        labels: None only for the label coder itself.
        color: None for the label coder and the color coder.
        layers: the optional layers that the coder is built on, directly or through others, ascending by kind.
    """

    width: int
    height: int
    labels: LabelLayer | None = None
    color: ColorLayer | None = None
    layers: tuple[Layer, ...] = ()

    def layer(self, layer_class: type[LayerT]) -> LayerT | None:
        """Return the optional layer of a class, the first if there are several, or None."""
        return next((layer for layer in self.layers if isinstance(layer, layer_class)), None)


class LayerCoder(ABC, Generic[LayerT]):
    """Layer ↔ bytes, lossless, by integers alone.

    The normative text of a layer is the docstring of the module of its coder. A new coder is entered in
    `bitstream.layers`.

    Attributes:
        name: of the layer, for people.
        kind: place of the layer in a file, 1 … 127; 0 for the two that every file has.
        layer_class: of the layers that it codes.
        built_on: kinds of the optional layers without which it cannot be decoded, all lower than its own. Only these,
            and those that they are built on, does the coder see.
        built_on_present: kinds of the optional layers, all lower than its own, that it is built on too where a file
            holds them; `named_bases` then says which ones a body needs.
        is_critical: a reader that does not know the layer must reject the file.
        table_file: name of its tables, see `tables`; None if it has none.
    """

    name: str
    kind: int = 0
    layer_class: type[LayerT]
    built_on: tuple[int, ...] = ()
    built_on_present: tuple[int, ...] = ()
    is_critical: bool = False
    table_file: str | None = None

    @abstractmethod
    def encode(self, layer: LayerT, before: DecodedLayers) -> bytes:
        """Write a layer.

        Args:
            layer: of `layer_class`.
            before: what the reader knows by then.

        Returns:
            The body; the same for the same arguments on every machine.
        """

    @abstractmethod
    def decode(self, body: bytes, before: DecodedLayers) -> LayerT:
        """Read a layer.

        Args:
            body: of `encode`, or any other bytes.
            before: what `encode` was given.

        Returns:
            The layer. Encoding it again gives the same bytes.

        Raises:
            UnsupportedVersionError: the body is of a kind that this version does not know; the layer is kept as it is.
            BitstreamError: no encoder writes this body.
        """

    def named_bases(self, body: bytes) -> tuple[int, ...]:
        """Return the kinds among `built_on_present` that a body says it is built on.

        Args:
            body: of `encode`, or any other bytes; what makes no sense names nothing.
        """
        return ()

    def table_digest(self) -> str:
        """Return the SHA-256 of the tables of this coder, 64 hexadecimal digits; empty if it has none."""
        return tables.digest(self.table_file) if self.table_file else ""
