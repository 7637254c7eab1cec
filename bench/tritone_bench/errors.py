"""What a user of the bench can run into, as one line each.

Raised everywhere in this package; printed by the command line.
"""

from __future__ import annotations


class BenchError(Exception):
    """A measurement that cannot be made, or one that must not be believed.

    Attributes:
        user_message: what is wrong and how to mend it, one line.
        exit_status: 2 when the request was wrong, 1 when it failed at run time.
    """

    def __init__(self, user_message: str, *, exit_status: int = 1) -> None:
        super().__init__(user_message)
        self.user_message = " ".join(user_message.split())
        self.exit_status = exit_status


class UsageError(BenchError):
    """An option that makes no sense."""

    def __init__(self, user_message: str) -> None:
        super().__init__(user_message, exit_status=2)


class ServiceError(BenchError):
    """The service is not there, went away, stalled, or refused."""


class LateGeneratorError(BenchError):
    """The load generator itself was late, so its numbers say nothing about the service."""


class WrongWordsError(BenchError):
    """The service answered other words under load than it answers to the same audio alone."""
