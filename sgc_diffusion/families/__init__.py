"""Decoder families, one file each: what draws a payload.

A family is a subclass of `SemanticCompressionPipeline` that writes `draw`; the base class does everything around it.
`sgc_diffusion.zoo.families` holds which class is in which module, so that only the family that is wanted is imported.
"""
