"""Where pipelines come from: names, known weights, identity, checkpoints, loading."""
