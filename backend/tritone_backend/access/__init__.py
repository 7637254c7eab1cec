"""Who may use the service: API keys, the file they are kept in, and the check that every request passes.

Encryption is Triton's own (`serve.tls`); how many streams a key may hold is counted where streams are (`admission`).
"""

from tritone_backend.access.caller import Caller
from tritone_backend.access.guard import Guard

__all__ = ["Caller", "Guard"]
