"""The one base of every error that a user can mend."""


class BackstopError(Exception):
    """Says what is wrong and how to mend it; commands print the message, not a traceback."""
