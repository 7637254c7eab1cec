"""Triton's side of the backend: the Python models that Triton loads, and the repository they are loaded from."""
