"""The base of every error that a user of the acoustic package can cause.

How an error is shown (one line, exit status) is the command line's business, not decided here.
"""


class AcousticError(Exception):
    """Something the user can mend.

    Attributes:
        user_message: one line: what is wrong and how to mend it.
    """

    def __init__(self, user_message: str) -> None:
        super().__init__(user_message)
        self.user_message = user_message
