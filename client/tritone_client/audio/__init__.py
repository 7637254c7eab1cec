"""Audio from files, pipes and microphones, as the bytes a stream takes.

Nothing here knows of services or streams; `open_source` and `open_stdin` are the ways in.
"""

from tritone_client.audio._open import open_source, open_stdin
from tritone_client.audio._source import Source

__all__ = ["Source", "open_source", "open_stdin"]
