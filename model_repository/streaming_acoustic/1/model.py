"""What Triton loads; everything is in tritone_backend."""

from tritone_backend.triton.acoustic import AcousticModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
