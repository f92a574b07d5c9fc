"""payload → image: what the decoder draws, and from what.

SemanticPayload ──conditioning──▶ label and color planes ──latent_diffusion──▶ latents ──first stage──▶ image
"""
