"""image → payload: what the encoder keeps.

image ──image_input──▶ RGB ──┬──segmentation──▶ label map
                             └──color_map─────▶ color map
"""
