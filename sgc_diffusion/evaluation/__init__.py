"""Honest numbers: this codec beside the codecs a user would pick instead."""
