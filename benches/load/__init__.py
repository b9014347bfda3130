"""Loads for `soak.py`: what writes, what it was told, and what a restore must therefore give."""
