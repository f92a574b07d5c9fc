"""The first thing to read: a photograph to bytes, and the bytes to a picture.

python pipelines/round_trip.py photo.jpg picture.png
"""

import sys

from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline

image = Image.open(sys.argv[1])
pipe = SemanticCompressionPipeline.from_pretrained("landscape-256")

data = pipe.compress(image)  # a few hundred bytes: label map, color map, how to draw them
picture = pipe.decompress(data).images[0]  # the same size as the photograph, other details

picture.save(sys.argv[2])
print(f"{len(data)} bytes, {8 * len(data) / (image.width * image.height):.5f} bpp")
