"""Table I of the paper, to stand beside what is measured here.

T. Bordin and T. Maugey, *Semantic based generative compression of images for extremely low bitrates*, MMSP 2023:
S-FLCKR landscapes, 512×512, first sample. The numbers are theirs; no script here made them.
"""

from __future__ import annotations

SOURCE = "Bordin & Maugey, MMSP 2023, Table I: S-FLCKR landscapes, 512×512"
METRICS_OF_TABLE = ("dbcnn", "musiq", "hyperiqa", "clipiqa", "label_bce", "clip_similarity")
TABLE = (  # codec, values in the order of METRICS_OF_TABLE, bpp
    ("input", (62.2, 67.5, 0.58, 0.56, None, None), None),
    ("VVC (vvenc), QP 55", (19.8, 24.2, 0.23, 0.32, 0.93, 0.62), 0.0229),
    ("SGC", (49.8, 60.6, 0.54, 0.47, 0.40, 0.80), 0.0209),
)
SCALES = {"dbcnn": 100}  # by which the paper multiplies
OURS = ("original", "vvc-paper", "vvc-qp55")  # results that stand beside, and all of this project's codec
