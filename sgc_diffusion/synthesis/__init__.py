"""payload → image: what the decoder draws, and from what.

SemanticPayload ──conditioning──▶ label and colour planes ──latent_diffusion──▶ latents ──first stage──▶ image
"""
