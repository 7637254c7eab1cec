"""The GPU engine: the network rewritten around a state pool that never leaves the device. Start at engine.py."""

from tritone_backend.engines.torch_gpu.engine import TorchEngine

__all__ = ["TorchEngine"]
