"""Data, losses and loops shared by the recipes in `pipelines/` (extra: `train`)."""
