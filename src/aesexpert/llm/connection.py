"""The way to a server: its address, the key, and what its refusals mean."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aesexpert.llm.errors import KeyMissingError, LLMError, ModelMissingError, QuotaError, ServerError


if TYPE_CHECKING:
    import openai

VENDOR = "https://api.openai.com/v1"
KEY, ADDRESS = "OPENAI_API_KEY", "OPENAI_BASE_URL"
"""The environment variables that the client reads, as OpenAI's own does."""

NO_KEY = "none"
"""What is sent to a server that wants no key."""

_USED_UP = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_ABOUT_THE_FORM = re.compile(r"response_format|json_schema|json_object|structured output|guided", re.I)


@dataclass(frozen=True)
class Connection:
    """A model at a server.

    Args:
        model (`str`): The model's name.
        base_url (`str`, *optional*): The server, up to and with `/v1`; by default what the environment variable
            `OPENAI_BASE_URL` says, or OpenAI's.
        api_key (`str`, *optional*): The key, by default that of the environment variable `OPENAI_API_KEY`.
        timeout (`float`, *optional*, defaults to 300): Seconds until a reply has to be there as a whole.

    Raises:
        `KeyMissingError`: If there is no key and the server is OpenAI's, or if it cannot be a key.
        `ServerError`: If the address is none.
    """

    model: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    timeout: float = 300.0

    def __post_init__(self) -> None:
        address = (self.base_url or os.environ.get(ADDRESS) or VENDOR).rstrip("/")
        _check(address)
        key = (self.api_key or os.environ.get(KEY) or "").strip()
        if not key and address == VENDOR:
            raise KeyMissingError(f"there is no API key: set the environment variable {KEY}")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise KeyMissingError(f"the API key has characters that no key has; see to the environment variable {KEY}")
        object.__setattr__(self, "base_url", address)
        object.__setattr__(self, "api_key", key or NO_KEY)

    @property
    def secret(self) -> str:
        """The key, where it is worth hiding."""
        return "" if self.api_key == NO_KEY else self.api_key

    def hide(self, text: str) -> str:
        """Takes the key out of a text."""
        return text.replace(self.secret, "***") if self.secret else text

    def explain(self, error: "openai.APIStatusError", form_asked: bool = False) -> Exception:
        """Says what a refusal means.

        Args:
            error (`openai.APIStatusError`): The refusal.
            form_asked (`bool`, *optional*, defaults to `False`): Whether the request asked for a form of answer.

        Returns:
            `Exception`: A `RateLimited`, `Transient`, `FormRefused` or `Refused`, or an `LLMError` that stops the job.
        """
        status, message = error.status_code, self.hide(_message(error))
        stops = self._stop(status, _code(error), message)
        if stops:
            return stops
        if status == 429:
            return RateLimited(_retry_after(error))
        if status in (408, 409, 425) or status >= 500:
            return Transient(f"{status}: {message}", _retry_after(error))
        if form_asked and _ABOUT_THE_FORM.search(message):
            return FormRefused(message)
        return Refused(f"{status}: {message}")

    def _stop(self, status: int, code: str, message: str) -> LLMError | None:
        where = f"the server at {self.base_url}"
        if status in (401, 403):
            hint = f"see to the key in the environment variable {KEY}"
            return KeyMissingError(f"{where} refuses the API key ({status}: {message}); {hint}")
        if status == 402 or code in _USED_UP:
            return QuotaError(f"the quota is used up ({message}); see to it, then run the same command again to go on")
        if status in (404, 405):
            return ModelMissingError(
                f"{where} has no model {self.model!r}, or is no OpenAI-compatible server ({status}: {message}); "
                "see to --model and --base-url (most addresses end in /v1)"
            )
        return None

    def unreachable(self, error: BaseException) -> str:
        """Says why there was no connection."""
        cause = list(_causes(error))[-1]
        reason = " ".join(str(cause).split()) or type(cause).__name__
        return self.hide(f"no answer from {self.base_url}: {reason}")


def _check(address: str) -> None:
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        has_secret = parts.username is not None or parts.password is not None
    except ValueError:
        is_address = has_secret = False
    if has_secret:
        raise ServerError(f"the server's address has a name or a password in it; leave them out and set {KEY}")
    if not is_address:
        raise ServerError(f"the server's address is {address!r}, expected one like http://127.0.0.1:8000/v1")


def is_refused(error: BaseException) -> bool:
    """Tells a connection that cannot be made from one that takes long; the client calls both a timeout."""
    return any(isinstance(cause, OSError) and not isinstance(cause, TimeoutError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


class Transient(Exception):
    """A failure that may pass.

    Args:
        reason (`str`): What happened.
        retry_after (`float`, *optional*): How many seconds the server asks to wait, if it does.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class RateLimited(Exception):
    """A reply 429.

    Args:
        retry_after (`float`, *optional*): How many seconds the server asks to wait, if it does.
    """

    def __init__(self, retry_after: float | None) -> None:
        super().__init__()
        self.retry_after = retry_after


class FormRefused(Exception):
    """A server that does not know the form of answer asked for."""


class Refused(Exception):
    """A request that the server will not answer however often it is asked, such as one that is too long."""


def _message(error: "openai.APIStatusError") -> str:
    body = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    text = " ".join(str(body if body else error.response.text).split())
    return text[:300] or "no message"


def _code(error: "openai.APIStatusError") -> str:
    body = error.body if isinstance(error.body, dict) else {}
    codes = [str(body.get(name)) for name in ("code", "type")]
    return next((code for code in codes if code in _USED_UP), "")


def _retry_after(error: "openai.APIStatusError") -> float | None:
    """Seconds to wait, as the server says: in milliseconds, in seconds, or as a date."""
    headers: Any = error.response.headers
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time())
    except (KeyError, ValueError, TypeError):
        return None
