"""Decoder families: one file each."""
