"""The ICC profile and the EXIF data

Kind 24 is an ICC profile, as it stands: at least 128 bytes, of which bytes 0–3, big-endian, are their number, bytes
16–19 are `RGB ` or `GRAY`, and bytes 36–39 `acsp`. It says how the colors are meant, those of the color map and of the
detail layers alike; without it they are sRGB. With a gray profile the three channels are one.

Kind 25 is EXIF data, as they stand: a TIFF structure that begins with `II*`, 0 or with `MM`, 0, `*`. The picture is
upright already: an orientation other than 1 in it MUST NOT be applied, and a writer sets it to 1.

A reader MUST reject other bodies. Both are kept to the byte.
"""

from __future__ import annotations

from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.payload.metadata import ExifLayer, IccProfileLayer, is_exif, is_profile


class IccProfileCoder(LayerCoder[IccProfileLayer]):
    """Writes and reads the ICC profile."""

    name = "ICC profile"
    kind = IccProfileLayer.kind
    layer_class = IccProfileLayer

    def encode(self, layer: IccProfileLayer, before: DecodedLayers) -> bytes:
        """Return the profile."""
        return layer.profile

    def decode(self, body: bytes, before: DecodedLayers) -> IccProfileLayer:
        """Return the layer of a profile."""
        if not is_profile(body):
            raise CorruptSectionError("The ICC profile is not one of RGB or gray pixels")
        return IccProfileLayer(body)


class ExifCoder(LayerCoder[ExifLayer]):
    """Writes and reads the EXIF data."""

    name = "EXIF"
    kind = ExifLayer.kind
    layer_class = ExifLayer

    def encode(self, layer: ExifLayer, before: DecodedLayers) -> bytes:
        """Return the data."""
        return layer.exif

    def decode(self, body: bytes, before: DecodedLayers) -> ExifLayer:
        """Return the layer of EXIF data."""
        if not is_exif(body):
            raise CorruptSectionError("The EXIF data do not begin with the header of TIFF")
        return ExifLayer(body)
