"""Errors of the data and training commands that a user can cause.

Only the error type lives here; the commands print its one line.
"""


class TrainingDataError(Exception):
    """A missing or unusable input; `user_message` says what is wrong and how to mend it."""

    def __init__(self, user_message: str) -> None:
        super().__init__(user_message)
        self.user_message = user_message
