"""What can go wrong between this machine and the Hub, in words for users."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2  # the HTTP client of huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)


LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
"""What to do about a token that is missing or does not do."""


class HubError(Exception):
    """Something that cannot be published or fetched as it was asked."""


@contextmanager
def explained(repo_id: str) -> Iterator[None]:
    """Turns the errors of the client library into messages that say what to do; no message holds a token.

    Args:
        repo_id (`str`): The repository in question.

    Raises:
        `HubError`: In place of the client library's errors.
    """
    try:
        yield
    except RuntimeError as error:  # what the client library wraps around a failed upload
        if not isinstance(error.__cause__, httpx2.HTTPError):
            raise
        raise HubError(_explain(error.__cause__, repo_id)) from None
    except (httpx2.HTTPError, OfflineModeIsEnabled, UnicodeEncodeError) as error:
        raise HubError(_explain(error, repo_id)) from None


def _explain(error: Exception, repo_id: str) -> str:
    if isinstance(error, GatedRepoError):
        return f"access to {repo_id} is restricted; ask for it on {constants.ENDPOINT}/{repo_id}, then try again"
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id} has no such revision; its tags and branches are listed on {constants.ENDPOINT}/{repo_id}"
    if isinstance(error, RepositoryNotFoundError):
        return f"there is no {repo_id}, or it is private and not open to your token; check the name, or {LOG_IN}"
    if isinstance(error, HfHubHTTPError):
        return _explain_status(error, repo_id)
    if isinstance(error, UnicodeEncodeError):
        return f"the token is not one: it has characters that no token has; {LOG_IN}"
    if isinstance(error, httpx2.LocalProtocolError):
        return f"the request for {repo_id} could not be made; if HF_TOKEN is set, see that it is one word"
    if isinstance(error, OfflineModeIsEnabled):
        return f"{repo_id} cannot be reached: HF_HUB_OFFLINE is set; unset it and try again"
    return (
        f"the Hub at {constants.ENDPOINT} cannot be reached ({type(error).__name__}); check the network, then repeat"
    )


def _explain_status(error: HfHubHTTPError, repo_id: str) -> str:
    status = error.response.status_code
    if status == 401:
        return f"the Hub does not accept your token for {repo_id}; {LOG_IN}"
    if status == 403:
        return f"your token may not write to {repo_id}; use one with write access to {repo_id.split('/')[0]}"
    if status == 412:
        return f"somebody else changed {repo_id} meanwhile; run the same command again"
    said = f": {error.server_message}" if error.server_message else ""
    return f"the Hub refused the request for {repo_id} with status {status}{said}"
