"""One engine process for all of a server's model processes: a GPU is driven by one loop that sees only arrays.

`host` is that loop, `client` the engine that a model process sees, `area` the memory that lies between them.
"""

from tritone_backend.engines.shared.client import SharedEngine

__all__ = ["SharedEngine"]
