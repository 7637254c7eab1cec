"""The error that serving raises for things the operator can mend, with its one-line message.

What Triton or a model reports at run time is turned into it by `process`; no other exception type lives here.
"""

from __future__ import annotations

from tritone_backend.errors import BackendError


class ServeError(BackendError):
    """Serving cannot start or go on; the message says what is wrong and how to mend it, in one line.

    Attributes:
        user_message: the line to show, without a traceback.
        exit_status: 2 for a wrong option or a missing part, 1 for a failure at run time.
    """

    def __init__(self, message: str, *, exit_status: int = 2) -> None:
        super().__init__(message)
        self.exit_status = exit_status
