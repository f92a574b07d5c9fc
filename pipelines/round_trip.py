"""The first thing to read: a photograph to bytes, and the bytes to a picture.

python pipelines/round_trip.py photo.jpg picture.png
"""

import sys

from sgc_diffusion import SemanticCompressionPipeline

photograph, output = sys.argv[1:]
pipe = SemanticCompressionPipeline.from_pretrained("landscape-256")

data = pipe.compress(photograph)  # a hundred bytes or two: label map, color map, how to draw them
picture = pipe.decompress(data).images[0]  # of the photograph's size, with other details

picture.save(output)  # says in its metadata that it was generated
print(f"{len(data)} bytes, {8 * len(data) / (picture.width * picture.height):.5f} bpp")
