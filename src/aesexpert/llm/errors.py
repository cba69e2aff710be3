"""What can go wrong with a language model behind a server, each kind with a name and a remedy."""

from collections.abc import Iterator
from contextlib import contextmanager


class LLMError(RuntimeError):
    """Something that stops a job. What was answered before is in the journal: the same command goes on from there."""


class MissingExtraError(LLMError):
    """Packages that are not installed by default."""


class KeyMissingError(LLMError):
    """No API key, or one that the server refuses."""


class ServerError(LLMError):
    """A server that cannot be reached, or is not what was expected at this address."""


class ModelMissingError(LLMError):
    """A model that the server does not have."""


class QuotaError(LLMError):
    """Credit or a rate limit that is used up for longer than it is worth waiting."""


class JournalError(LLMError):
    """A journal that cannot be read or written."""


class RequestError(LLMError):
    """Requests that cannot be told apart, or a source of requests that failed."""


class BatchError(LLMError):
    """A batch that the server refuses, or that does not belong to this job."""


class Interrupted(LLMError):
    """A job that was told to stop (SIGTERM, Ctrl-C), and has done so after the answers that were under way.

    Args:
        signal_number (`int`): The signal.
        message (`str`): What to tell the user.
    """

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Turns a failing import into a message with the line that mends it.

    Args:
        name (`str`): The extra that has the packages imported inside.

    Raises:
        `MissingExtraError`: If one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"the package {error.name} is not installed; install it with: pip install 'aesexpert[{name}]'"
        raise MissingExtraError(message) from error
