"""Published checkpoint → pipeline folder that `SemanticCompressionPipeline.from_pretrained` loads.

model.ckpt ──checkpoint──▶ tensors by name ──ldm──▶ stock diffusers modules ──▶ folder of safetensors
"""
