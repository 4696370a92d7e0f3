"""What can go wrong between a model's source and its file.

ModelError
 ├─ InvalidSourceError      the source is not written as one
 ├─ ModelUnavailableError   not here, and not to be had
 ├─ WrongHashError          not the file that was asked for
 └─ CodeRefusedError        the repository holds code that nobody allowed
"""

from pathlib import Path


class ModelError(Exception):
    """A model's files are not to be had; the message says what to do."""


class InvalidSourceError(ModelError):
    """The text or fields of a source do not name one."""


class ModelUnavailableError(ModelError):
    """The source is neither on this machine nor reachable."""


class CodeRefusedError(ModelError):
    """A model repository holds code, and code of a repository runs only if allowed by name."""


class WrongHashError(ModelError):
    """The bytes at hand are not those that were asked for."""

    def __init__(self, path: Path, expected: str, found: str, advice: str) -> None:
        super().__init__(f"{path}: sha256 is {found}, expected {expected}; {advice}")
        self.path = path
        self.expected = expected
        self.found = found
