"""The decoder without a network, as a pipeline: found by name, encoding with a segmenter alone."""

import numpy as np

from sgc_diffusion import SemanticCompressionPipeline, decode
from sgc_diffusion.families.preview import PreviewCompressionPipeline
from sgc_diffusion.synthesis.preview import preview


def test_it_encodes_with_a_segmenter_alone_and_draws_the_preview(tiny_pipeline, landscape, tmp_path):
    PreviewCompressionPipeline(segmenter=tiny_pipeline.segmenter, segmenter_short_side=64).save_pretrained(tmp_path)
    pipeline = SemanticCompressionPipeline.from_pretrained(tmp_path)
    assert type(pipeline) is PreviewCompressionPipeline and set(pipeline.components) == {"segmenter", "image_processor"}
    data = pipeline.compress(landscape(64, 48))
    drawn = np.asarray(pipeline.decompress(data).images[0]).astype(int)
    assert np.abs(drawn - np.asarray(preview(decode(data)))).mean() < 4  # its colors are matched to the map once more
