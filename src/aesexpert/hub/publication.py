"""Publishing to the Hub: what is to be published, where to, and one commit for all of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperation, CommitOperationAdd, CommitOperationDelete, HfApi, RepoCard, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from tqdm import tqdm

from aesexpert.hub.errors import LOG_IN, HubError, explained


CARD = "README.md"

IN_MEMORY_BYTES = 300_000_000
"""Files up to this size are read once, into memory, for digest and upload; larger ones are read twice."""

RepoType = Literal["dataset", "model", "space"]


def check_repo_id(repo_id: str) -> None:
    """Checks that a repository is named as the Hub wants it.

    Args:
        repo_id (`str`): The name.

    Raises:
        `HubError`: If it lacks an owner or has characters that no name has.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise HubError(f"{repo_id!r} is no repository's name ({error}); expected OWNER/NAME") from None
    if repo_id.count("/") != 1:
        raise HubError(f"{repo_id!r} has no owner; expected OWNER/NAME, such as acme/{repo_id}")


@dataclass(frozen=True)
class Destination:
    """Where and how to publish.

    Args:
        repo_id (`str`): `OWNER/NAME`.
        private (`bool`, *optional*, defaults to `True`):
            Whether a repository that is not there yet is made private. One that is there stays as it is.
        gated (`str`, *optional*): `"auto"` or `"manual"`: who downloads has to ask first.
        tag (`str`, *optional*): A name for the revision.
        create_pr (`bool`, *optional*, defaults to `False`): Whether to propose the change in a pull request.

    Raises:
        `HubError`: If the name is wrong, or tag and pull request are asked for together.
    """

    repo_id: str
    private: bool = True
    gated: Literal["auto", "manual"] | None = None
    tag: str | None = None
    create_pr: bool = False

    def __post_init__(self) -> None:
        check_repo_id(self.repo_id)
        if self.create_pr and (self.tag or self.gated):
            raise HubError(
                "a pull request changes neither tags nor access: leave out the tag and gating, or set them later"
            )


@dataclass(frozen=True)
class Publication:
    """What is to be published, checked and complete but for the upload.

    Args:
        repo_type (`str`): `"dataset"`, `"model"` or `"space"`.
        files (`Mapping[str, Path | bytes]`): The contents by their path in the repository, without the card.
        make_card (`Callable[[Sequence[bytes]], RepoCard]`):
            Writes the card, given the SHA-256 digests of `files` in their order, or nothing to try it out.
        owns (`Sequence[str]`): Patterns of files that go if this publication does not have them.
    """

    repo_type: RepoType
    files: Mapping[str, Path | bytes]
    make_card: Callable[[Sequence[bytes]], RepoCard]
    owns: Sequence[str] = field(default=())

    def sizes(self) -> dict[str, int]:
        """The size of every file in bytes, by its path in the repository."""
        files = {**self.files, CARD: str(self.make_card(())).encode()}
        return {
            path: content.stat().st_size if isinstance(content, Path) else len(content)
            for path, content in files.items()
        }


def publish(publication: Publication, destination: Destination) -> str:
    """Uploads a publication and commits it at once, so that no one sees half of it.

    A push that was killed is repeated with the same command: files that had arrived are not sent again. Neither is
    anything if nothing changed.

    Args:
        publication (`Publication`): What to publish.
        destination (`Destination`): Where to.

    Returns:
        `str`: The address of the commit, or of the pull request.

    Raises:
        `HubError`: If the Hub cannot be reached or refuses, or if the card is not valid. Nothing is visible then.
    """
    if get_token() is None:
        raise HubError(f"{destination.repo_id} cannot be written without a token; {LOG_IN}")
    api = HfApi(library_name="aesexpert")
    with explained(destination.repo_id):
        _check_card(publication)
        head = _prepare(api, publication.repo_type, destination)
        operations = _upload(api, publication, destination)
        operations += _deletions(api, publication, destination, head)
        commit = api.create_commit(
            destination.repo_id,
            operations,
            commit_message="Upload with aesexpert",
            repo_type=publication.repo_type,
            create_pr=destination.create_pr,
            parent_commit=head,
        )
        if destination.tag:
            _tag(api, publication.repo_type, destination.repo_id, destination.tag, commit.oid)
    return commit.pr_url or commit.commit_url


def _check_card(publication: Publication) -> None:
    try:
        publication.make_card(()).validate(publication.repo_type)
    except ValueError as error:
        raise HubError(f"the Hub does not accept the card's metadata: {error}") from error


def _prepare(api: HfApi, repo_type: RepoType, destination: Destination) -> str:
    """Makes the repository if need be, closes it before anything is in it, and returns its newest commit."""
    repo_id = destination.repo_id
    if not destination.create_pr:
        sdk = "gradio" if repo_type == "space" else None
        api.create_repo(repo_id, repo_type=repo_type, private=destination.private, exist_ok=True, space_sdk=sdk)
    head = str(api.repo_info(repo_id, repo_type=repo_type).sha)
    if destination.tag:
        _check_tag(api, repo_type, repo_id, destination.tag, head)
    if destination.gated:
        api.update_repo_settings(repo_id, repo_type=repo_type, gated=destination.gated)
    return head


def _check_tag(api: HfApi, repo_type: RepoType, repo_id: str, name: str, head: str) -> None:
    """A tag never moves. One that names the newest commit is left to `create_tag`: the same push may be repeated."""
    for tag in api.list_repo_refs(repo_id, repo_type=repo_type).tags:
        if tag.name == name and tag.target_commit != head:
            raise HubError(f"{repo_id} has a tag {tag.name!r} already; choose another, or delete it there")


def _tag(api: HfApi, repo_type: RepoType, repo_id: str, name: str, commit: str) -> None:
    api.create_tag(repo_id, tag=name, revision=commit, repo_type=repo_type, exist_ok=True)
    if api.repo_info(repo_id, repo_type=repo_type, revision=name).sha != commit:
        raise HubError(
            f"{repo_id} has the new revision {commit[:8]}, but the tag {name!r} names "
            "the one before; run the same command with another tag"
        )


def _upload(api: HfApi, publication: Publication, destination: Destination) -> list[CommitOperation]:
    """Sends the files one by one, so that one is in memory at a time, and the card last: it depends on them."""
    operations: list[CommitOperation] = []
    digests: list[bytes] = []
    size = sum(publication.sizes().values())
    with tqdm(total=size, desc=f"Uploading to {destination.repo_id}", unit="B", unit_scale=True, disable=None) as bar:
        for path, content in publication.files.items():
            if isinstance(content, Path) and content.stat().st_size <= IN_MEMORY_BYTES:
                content = content.read_bytes()
            operation = _send(api, CommitOperationAdd(path, content), publication, destination)
            del content
            bar.update(operation.upload_info.size)
            operations.append(operation)
            digests.append(operation.upload_info.sha256)
        card = str(publication.make_card(digests)).encode()
        operations.append(_send(api, CommitOperationAdd(CARD, card), publication, destination))
        bar.update(len(card))
    return operations


def _send(
    api: HfApi, operation: CommitOperationAdd, publication: Publication, destination: Destination
) -> CommitOperationAdd:
    try:
        api.preupload_lfs_files(
            destination.repo_id, [operation], repo_type=publication.repo_type, create_pr=destination.create_pr
        )
    except ValueError as error:  # what the client library makes of a refusal for a single file
        raise HubError(f"the Hub does not take {operation.path_in_repo}: {error}") from error
    return operation


def _deletions(api: HfApi, publication: Publication, destination: Destination, head: str) -> list[CommitOperation]:
    there = api.list_repo_files(destination.repo_id, repo_type=publication.repo_type, revision=head)
    gone = [
        path for path in there if path not in publication.files and any(fnmatch(path, p) for p in publication.owns)
    ]
    return [CommitOperationDelete(path) for path in gone]
