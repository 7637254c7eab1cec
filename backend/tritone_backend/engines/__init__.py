"""Acoustic engines: where the network runs and every stream's state lives. One module an engine."""

from tritone_backend.engines.base import Engine, EngineTiming, Lane
from tritone_backend.engines.choose import ENGINES, create_engine

__all__ = ["ENGINES", "Engine", "EngineTiming", "Lane", "create_engine"]
