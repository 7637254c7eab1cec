"""What Triton loads; everything is in tritone_backend."""

from tritone_backend.triton.asr import AsrModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
