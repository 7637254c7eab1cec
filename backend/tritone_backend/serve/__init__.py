"""Starting, watching and checking a Triton server that runs Tritone's models.

The models themselves are `tritone_backend.triton`; nothing in this package is imported inside Triton.
"""

from tritone_backend.serve.errors import ServeError
from tritone_backend.serve.process import ServerProcess
from tritone_backend.serve.running import running_server
from tritone_backend.serve.settings import ServeSettings

__all__ = ["ServeError", "ServeSettings", "ServerProcess", "running_server"]
