"""A small local stand-in for the Hugging Face Hub, for tests without internet.

It speaks enough of the Hub's HTTP API for the real clients (huggingface_hub, transformers, datasets, evaluate, trl,
peft) to push to and pull from it on a loopback port:

    with serve("/tmp/hub") as hub:  # on a free port, from a thread
        subprocess.run([sys.executable, "push.py"], env={**os.environ, **hub.env})

The clients read `hub.env` when they are imported, so they run in processes of their own. `hub.log` has one entry a
request; `hub.cuts` breaks downloads.

What is on disk under the root:

    blobs/<aa>/<sha256>                    file contents, shared by all repositories
    <kind>/<namespace>/<name>/repo.json    settings and refs (kind: models, datasets, spaces)
    <kind>/<namespace>/<name>/commits/     one JSON file per commit: message, parent, file table

Not served (404 with a message that names the request): git itself, Xet, multipart LFS, web pages, discussions, merging
pull requests, likes, collections, access requests, `super_squash_history`. Files of LFS are answered directly, without
the redirect to another server; commit ids are random; uploads pass through memory.
"""

import base64
import contextlib
import dataclasses
import datetime
import fnmatch
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import threading
import time
import traceback
from collections import defaultdict
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, quote, unquote, urlencode

import uvicorn
import yaml
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response


KINDS = ("models", "datasets", "spaces")
LFS_THRESHOLD = 10 * 1024 * 1024
LFS_SUFFIXES = (
    "7z arrow avro bin bz2 ckpt ftz gguf gz h5 joblib lz4 mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl "
    "pt pth rar safetensors tar tflite tgz wasm xz zip zst bmp gif jpeg jpg png tiff webp flac mp3 ogg wav mp4 webm"
)
GITATTRIBUTES = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES.split())


# -- who is calling -------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Identity:
    """The user behind a token, and what the token allows."""

    user: str = ""
    orgs: tuple = ()
    role: str = "none"

    def owns(self, namespace: str) -> bool:
        return bool(self.user) and (namespace == self.user or namespace in self.orgs)


ANONYMOUS = Identity()
TOKENS = {
    "hf_alice": Identity("alice", ("acme",), "write"),
    "hf_alice_read": Identity("alice", ("acme",), "read"),
    "hf_bob": Identity("bob", (), "write"),
}


# -- errors, in the form that huggingface_hub turns into its own exceptions -----------------------
class HubError(Exception):
    def __init__(self, status: int, message: str, code: str = "", **headers: str):
        super().__init__(message)
        coded = {"X-Error-Code": code} if code else {}
        self.response = JSONResponse({"error": message}, status, {"X-Error-Message": message, **coded, **headers})


def revision_not_found(revision: str) -> HubError:
    return HubError(404, f"Invalid rev id: {quote(revision)}", "RevisionNotFound")


def entry_not_found(path: str, commit: dict) -> HubError:
    return HubError(404, f"Entry not found: {quote(path)}", "EntryNotFound", **{"X-Repo-Commit": commit["oid"]})


# -- storage --------------------------------------------------------------------------------------
def utc_now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_atomically(path: Path, content: bytes) -> None:
    """Readers see the old file or the new one, so they never need a lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    scratch.write_bytes(content)
    os.replace(scratch, path)


@functools.lru_cache(maxsize=256)
def read_commit(path: Path) -> dict:
    """Commits never change once written; callers must not modify what they get."""
    return json.loads(path.read_text())


def folders_above(path: str) -> list[str]:
    return [str(folder) for folder in PurePosixPath(path).parents if str(folder) != "."]


class Repo:
    """One repository on disk. `meta` holds its settings and refs: call save() after changing them."""

    def __init__(self, folder: Path, kind: str, repo_id: str, meta: dict | None = None):
        self.folder, self.kind, self.id = folder, kind, repo_id
        self.namespace = repo_id.split("/")[0]
        self.meta = meta or json.loads((folder / "repo.json").read_text())
        self.url_path = repo_id if kind == "models" else f"{kind}/{repo_id}"

    def save(self) -> None:
        write_atomically(self.folder / "repo.json", json.dumps(self.meta, indent=1).encode())

    def hidden_from(self, caller: Identity) -> bool:
        return self.meta["private"] and not caller.owns(self.namespace)

    def commit(self, oid: str) -> dict:
        return read_commit(self.folder / "commits" / f"{oid}.json")

    def find_ref(self, revision: str) -> str | None:
        names = (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")
        return next((name for name in names if name in self.meta["refs"]), None)

    def at(self, revision: str) -> dict:
        """The commit that a branch, tag, full ref or (abbreviated) commit id stands for."""
        ref = self.find_ref(revision)
        if ref:
            return self.commit(self.meta["refs"][ref])
        if re.fullmatch("[0-9a-f]{7,40}", revision):
            for path in (self.folder / "commits").glob(f"{revision}*.json"):
                return read_commit(path)
        raise revision_not_found(revision)

    def history(self, commit: dict | None):
        while commit:
            yield commit
            commit = self.commit(commit["parent"]) if commit["parent"] else None

    def add_commit(self, ref: str, parent: dict | None, files: dict, title: str, message: str, author: str) -> str:
        oid = secrets.token_hex(20)
        commit = {"oid": oid, "parent": parent and parent["oid"], "title": title, "message": message}
        commit |= {"author": author, "date": utc_now(), "files": files}
        write_atomically(self.folder / "commits" / f"{oid}.json", json.dumps(commit, indent=1).encode())
        self.meta["refs"][ref] = oid
        self.save()
        return oid

    def last_changes(self, commit: dict) -> dict:
        """For every file and folder, the newest commit that touched it."""
        newest = {}
        for later in self.history(commit):
            before = self.commit(later["parent"])["files"] if later["parent"] else {}
            for path in later["files"].keys() | before.keys():
                if later["files"].get(path) != before.get(path):
                    for touched in (path, *folders_above(path)):
                        newest.setdefault(touched, later)
        return newest


# -- what a repository's files say about it -------------------------------------------------------
def front_matter(text: str) -> dict:
    """The YAML block on top of a README. Raises yaml.YAMLError when it does not parse."""
    match = re.match(r"\ufeff?\s*---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", text, re.DOTALL | re.MULTILINE)
    data = yaml.safe_load(match[1]) if match else None
    return json.loads(json.dumps(data, default=str)) if isinstance(data, dict) else {}


def tags_of(card: dict) -> list[str]:
    """The Hub's flat list of tags: some metadata as it is, some as `key:value`."""
    prefixes = {"library_name": "", "pipeline_tag": "", "tags": "", "datasets": "dataset:", "license": "license:"}
    prefixes |= {"base_model": "base_model:", "language": "language:", "task_categories": "task_categories:"}
    tags = []
    for key, prefix in prefixes.items():
        values = card.get(key) or []
        tags += [f"{prefix}{value}" for value in (values if isinstance(values, list) else [values])]
    return list(dict.fromkeys(tags))


def asks_for_private(wanted: dict) -> bool:
    """Older clients send `private`, newer ones `visibility`."""
    return wanted.get("visibility", "private" if wanted.get("private") else "public") == "private"


def matches_any(path: str, patterns: list[str]) -> bool:
    """Like .gitignore and .gitattributes, roughly: globs on a path, or on a name anywhere in it."""
    names = [path, *folders_above(path), *PurePosixPath(path).parts]
    return any(fnmatch.fnmatchcase(name, pattern.strip("/")) for pattern in patterns for name in names)


# -- routing --------------------------------------------------------------------------------------
ROUTES = []  # (HTTP method, pattern, handler, whether it writes); the first match wins
PLACEHOLDERS = {
    "{kind}": "(?P<kind>models|datasets|spaces)",
    "{web}": "(?P<web>datasets/|spaces/|)",
    "{repo}": "(?P<repo>[^/]+/[^/]+?)",
    "{rev}": "(?P<rev>refs/(?:pr|convert)/[^/]+|[^/]+)",
    "{path}": "(?P<path>.*)",
    "{label}": "(?P<label>branch|tag)",
    "{oid}": "(?P<oid>[0-9a-f]{64})",
}


def route(method: str, pattern: str, writes: bool = False):
    """Patterns meet the raw, still quoted path: `refs%2Fpr%2F1` is one segment, as the clients mean it."""
    pattern = pattern.replace(".", r"\.")
    for placeholder, group in PLACEHOLDERS.items():
        pattern = pattern.replace(placeholder, group)

    def register(handler):
        ROUTES.append((method, re.compile(pattern), handler, writes))
        return handler

    return register


class Call:
    """One request, as the handlers see it; `values` are the placeholders of its route."""

    def __init__(self, request: Request, caller: Identity, body: bytes, values: dict[str, str]):
        self.request, self.caller, self.body, self.values = request, caller, body, values
        self.kind = values.get("kind") or values.get("web", "").rstrip("/") or "models"
        self.rev, self.path = values.get("rev", "main"), values.get("path", "").strip("/")
        self.query = request.query_params
        self.repo: Repo | None = None

    def json(self) -> dict:
        return json.loads(self.body or b"{}")

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("1", "true")


# -- the Hub --------------------------------------------------------------------------------------
class Hub:
    """The ASGI application. Handlers that write run one at a time, under the lock."""

    def __init__(self, root: str | os.PathLike, endpoint: str, page_size: int = 1000, tokens: dict | None = None):
        self.root, self.endpoint, self.page_size = Path(root).absolute(), endpoint, page_size
        self.tokens = TOKENS if tokens is None else tokens
        self.lock = threading.Lock()
        self.upload_ticket = secrets.token_hex(16)
        self.log = []  # one {"method", "path", "status", "range"} per request answered
        self.cuts = []  # append {"match": part of a path, "after": bytes} to break the next such download there

    @property
    def env(self) -> dict[str, str]:
        """Environment for a client process; it must be set before the first Hugging Face import."""
        loopback = "127.0.0.1,localhost"
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": "hf_alice",
            "HF_HOME": str(self.root / "client_home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "DISABLE_SAFETENSORS_CONVERSION": "1",
            "NO_PROXY": loopback,
            "no_proxy": loopback,
        }

    async def __call__(self, scope, receive, send) -> None:
        request = Request(scope, receive)

        async def log_and_send(message: dict) -> None:
            if message["type"] == "http.response.start":
                entry = {"method": request.method, "path": scope["raw_path"].decode(), "status": message["status"]}
                self.log.append(entry | {"range": request.headers.get("range")})
            await send(message)

        try:
            response = await self.dispatch(request)
        except ClientDisconnect:
            return
        except HubError as error:
            response = error.response
        except Exception as error:
            traceback.print_exc()
            response = HubError(500, f"minihub failed: {type(error).__name__}").response
        await response(scope, receive, log_and_send)

    async def dispatch(self, request: Request) -> Response:
        raw_path, method = request.scope["raw_path"].decode(), request.method.replace("HEAD", "GET")
        for verb, pattern, handler, writes in ROUTES:
            match = pattern.fullmatch(raw_path) if verb == method else None
            if match:
                values = {name: unquote(value) for name, value in match.groupdict().items()}
                call = Call(request, self.identify(request), await request.body(), values)
                return await run_in_threadpool(self.run, handler, call, writes)
        raise HubError(404, f"minihub does not serve {method} {raw_path}")

    def run(self, handler, call: Call, writes: bool) -> Response:
        with self.lock if writes else contextlib.nullcontext():
            if "repo" in call.values:
                call.repo = self.open_repo(call, call.kind, call.values["repo"])
                if writes:  # anyone who can read may propose a pull request
                    self.require_write(call, call.caller.user if call.flag("create_pr") else call.repo.namespace)
            return handler(self, call)

    # -- access ---------------------------------------------------------------------------------
    def identify(self, request: Request) -> Identity:
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if token and token not in self.tokens:
            raise HubError(401, "Invalid credentials in Authorization header")
        return self.tokens[token] if token else ANONYMOUS

    def require_write(self, call: Call, namespace: str) -> None:
        if call.caller is ANONYMOUS:
            raise HubError(401, "Invalid username or password.")
        if call.caller.role != "write" or not call.caller.owns(namespace):
            raise HubError(403, f"You don't have the rights to write under the namespace {quote(namespace)}")

    def folder_of(self, kind: str, repo_id: str) -> Path:
        if kind not in KINDS or not re.fullmatch(r"\w[\w.-]{,95}/\w[\w.-]{,95}", repo_id, re.ASCII):
            raise HubError(400, f"Invalid repository: {kind} {quote(repo_id)}")
        return self.root / kind / repo_id

    def open_repo(self, call: Call, kind: str, repo_id: str) -> Repo:
        folder = self.folder_of(kind, repo_id)
        with contextlib.suppress(FileNotFoundError):
            repo = Repo(folder, kind, repo_id)
            if not repo.hidden_from(call.caller):
                return repo
        if call.caller is ANONYMOUS:  # the Hub does not tell strangers whether a repository exists
            raise HubError(401, "Invalid username or password.", "RepoNotFound")
        raise HubError(404, "Repository not found", "RepoNotFound")

    # -- accounts -------------------------------------------------------------------------------
    @route("GET", "/api/whoami-v2")
    def whoami(self, call: Call) -> Response:
        user, role = call.caller.user, call.caller.role
        if call.caller is ANONYMOUS:
            raise HubError(401, "Invalid username or password.")
        orgs = [
            {"type": "org", "id": f"org-{org}", "name": org, "fullname": org, "roleInOrg": role}
            for org in call.caller.orgs
        ]
        token = {"displayName": "minihub", "role": role, "createdAt": "2024-01-01T00:00:00.000Z"}
        return JSONResponse(
            {
                "type": "user",
                "id": f"user-{user}",
                "name": user,
                "fullname": user,
                "isPro": False,
                "orgs": orgs,
                "auth": {"type": "access_token", "accessToken": token},
            }
        )

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self, call: Call) -> Response:
        try:
            card = front_matter(call.json()["content"])
        except yaml.YAMLError as error:
            return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
        warnings = [] if card else [{"message": "empty or missing yaml metadata in repo card"}]
        return JSONResponse({"errors": [], "warnings": warnings})

    # -- repositories: create, delete, move, settings -------------------------------------------
    @route("POST", "/api/repos/create", writes=True)
    def create_repo(self, call: Call) -> Response:
        wanted = call.json()
        kind, namespace = (wanted.get("type") or "model") + "s", wanted.get("organization") or call.caller.user
        self.require_write(call, namespace)
        repo_id = f"{namespace}/{wanted['name']}"
        meta = {
            "id": secrets.token_hex(12),
            "private": asks_for_private(wanted),
            "gated": False,
            "sdk": wanted.get("sdk"),
            "created": utc_now(),
            "refs": {},
        }
        repo = Repo(self.folder_of(kind, repo_id), kind, repo_id, meta)
        answer = {"url": f"{self.endpoint}/{repo.url_path}", "name": repo_id, "id": meta["id"]}
        if repo.folder.exists():
            return JSONResponse(answer | {"error": f"You already created this {kind[:-1]} repo"}, 409)
        files = {".gitattributes": self.file_record(self.add_blob(GITATTRIBUTES.encode()), lfs=False)}
        repo.add_commit("refs/heads/main", None, files, "initial commit", "", call.caller.user)
        return JSONResponse(answer)

    @route("DELETE", "/api/repos/delete", writes=True)
    def delete_repo(self, call: Call) -> Response:
        wanted = call.json()
        repo_id = f"{wanted.get('organization') or call.caller.user}/{wanted['name']}"
        repo = self.open_repo(call, (wanted.get("type") or "model") + "s", repo_id)
        self.require_write(call, repo.namespace)
        shutil.rmtree(repo.folder)
        return JSONResponse({})

    @route("POST", "/api/repos/move", writes=True)
    def move_repo(self, call: Call) -> Response:
        wanted = call.json()
        kind, new_id = (wanted.get("type") or "model") + "s", wanted["toRepo"]
        repo, target = self.open_repo(call, kind, wanted["fromRepo"]), self.folder_of(kind, new_id)
        self.require_write(call, repo.namespace)
        self.require_write(call, new_id.split("/")[0])
        if target.exists():
            raise HubError(409, f"{new_id} exists already")
        target.parent.mkdir(parents=True, exist_ok=True)
        repo.folder.rename(target)
        return JSONResponse({})

    @route("PUT", "/api/{kind}/{repo}/settings", writes=True)
    def update_settings(self, call: Call) -> Response:
        wanted, meta = call.json(), call.repo.meta
        if "visibility" in wanted or "private" in wanted:
            meta["private"] = asks_for_private(wanted)
        meta["gated"] = wanted.get("gated", meta["gated"])
        call.repo.save()
        return JSONResponse({"private": meta["private"], "gated": meta["gated"]})

    # -- repositories: info and lists -----------------------------------------------------------
    @route("GET", "/api/{kind}/{repo}")
    @route("GET", "/api/{kind}/{repo}/revision/{rev}")
    def repo_info(self, call: Call) -> Response:
        return JSONResponse(self.describe(call.repo, call.rev, call.flag("blobs")))

    def describe(self, repo: Repo, revision: str = "main", with_blobs: bool = False) -> dict:
        commit, siblings = repo.at(revision), []
        card = self.parsed_file(commit, "README.md", front_matter) or {}
        for path, file in sorted(commit["files"].items()):
            siblings.append({"rfilename": path})
            if with_blobs:
                lfs = {"sha256": file["sha256"], "size": file["size"], "pointerSize": file["pointer_size"]}
                siblings[-1] |= {"size": file["size"], "blobId": file["oid"], "lfs": lfs if file["lfs"] else None}
        info = {
            "_id": repo.meta["id"],
            "id": repo.id,
            "author": repo.namespace,
            "sha": commit["oid"],
            "lastModified": commit["date"],
            "createdAt": repo.meta["created"],
            "private": repo.meta["private"],
            "gated": repo.meta["gated"],
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": tags_of(card),
            "usedStorage": sum(file["size"] for file in commit["files"].values()),
            "cardData": card,
            "siblings": siblings,
        }
        if repo.kind == "models":
            config = self.parsed_file(commit, "config.json", json.loads) or {}
            shown = [key for key in ("architectures", "model_type", "auto_map") if key in config]
            info |= {"modelId": repo.id, "config": {key: config[key] for key in shown}}
            info |= {key: card[key] for key in ("library_name", "pipeline_tag") if key in card}
        if repo.kind == "spaces":
            info |= {"sdk": card.get("sdk") or repo.meta["sdk"], "subdomain": repo.id.replace("/", "-")}
        return info

    def parsed_file(self, commit: dict, path: str, parse):
        """A small file of a commit, parsed; None when it is missing or broken."""
        file = commit["files"].get(path)
        try:
            return parse(self.blob_path(file["sha256"]).read_text()) if file else None
        except (ValueError, yaml.YAMLError):
            return None

    @route("GET", "/api/{kind}")
    def list_repos(self, call: Call) -> Response:
        folders = (path.parent for path in (self.root / call.kind).glob("*/*/repo.json"))
        repos = [Repo(folder, call.kind, "/".join(folder.parts[-2:])) for folder in folders]
        search, author, task = (call.query.get(key, "") for key in ("search", "author", "pipeline_tag"))
        found = [
            self.describe(repo)
            for repo in repos
            if not repo.hidden_from(call.caller)
            and search.lower() in repo.id.lower()
            and author in ("", repo.namespace)
        ]
        wanted_tags = {*call.query.getlist("filter"), *filter(None, [task])}
        found = [info for info in found if wanted_tags <= set(info["tags"])]
        sort_key = call.query.get("sort", "lastModified")
        found.sort(key=lambda info: (str(info.get(sort_key, "")), info["id"]), reverse=True)
        if not call.flag("full") and "expand" not in call.query:
            dropped = [key for key in ("siblings", "cardData", "config") if not call.flag(key)]
            found = [{key: info[key] for key in info if key not in dropped} for info in found]
        return self.page(call, found, self.page_size)

    def page(self, call: Call, items: list, page_size: int) -> Response:
        """One page of a list, with a Link header that leads to the next one."""
        start, size = int(call.query.get("cursor", 0)), min(int(call.query.get("limit", page_size)), page_size)
        headers = {}
        if start + size < len(items):
            query = [(key, value) for key, value in call.query.multi_items() if key != "cursor"]
            raw_path = call.request.scope["raw_path"].decode()
            url = f"{self.endpoint}{raw_path}?{urlencode([*query, ('cursor', start + size)])}"
            headers["Link"] = f'<{url}>; rel="next"'
        return JSONResponse(items[start : start + size], headers=headers)

    # -- files: listing -------------------------------------------------------------------------
    def entries_of(self, call: Call, expand: bool) -> dict:
        """Every file and folder at the revision asked for, by path."""
        commit, entries, tree_ids = call.repo.at(call.rev), {}, defaultdict(hashlib.sha1)
        for path, file in sorted(commit["files"].items()):
            entries[path] = {"type": "file", "path": path, "oid": file["oid"], "size": file["size"]}
            if file["lfs"]:
                lfs = {"oid": file["sha256"], "size": file["size"], "pointerSize": file["pointer_size"]}
                entries[path]["lfs"] = lfs
            for folder in folders_above(path):
                tree_ids[folder].update(f"{path} {file['oid']}\n".encode())
        for folder, digest in tree_ids.items():
            entries[folder] = {"type": "directory", "path": folder, "oid": digest.hexdigest(), "size": 0}
        for path, change in (call.repo.last_changes(commit) if expand else {}).items():
            if path in entries:
                entries[path]["lastCommit"] = {"id": change["oid"], "title": change["title"], "date": change["date"]}
        return entries

    @route("GET", "/api/{kind}/{repo}/tree/{rev}")
    @route("GET", "/api/{kind}/{repo}/tree/{rev}/{path}")
    def list_tree(self, call: Call) -> Response:
        expand, folder = call.flag("expand"), call.path
        entries = self.entries_of(call, expand)
        if folder and entries.get(folder, {}).get("type") != "directory":
            raise entry_not_found(folder, call.repo.at(call.rev))
        prefix = f"{folder}/" if folder else ""
        inside = [
            entry
            for path, entry in entries.items()
            if path.startswith(prefix) and (call.flag("recursive") or "/" not in path.removeprefix(prefix))
        ]
        inside.sort(key=lambda entry: (entry["type"] == "file", entry["path"]))
        return self.page(call, inside, min(50, self.page_size) if expand else self.page_size)

    @route("POST", "/api/{kind}/{repo}/paths-info/{rev}")
    def paths_info(self, call: Call) -> Response:
        wanted = parse_qs(call.body.decode())
        entries = self.entries_of(call, expand=wanted.get("expand") == ["true"])
        paths = [path.strip("/") for path in wanted.get("paths", [])]
        return JSONResponse([entries[path] for path in paths if path in entries])

    @route("GET", "/api/{kind}/{repo}/commits/{rev}")
    def list_commits(self, call: Call) -> Response:
        commits = [
            {
                "id": commit["oid"],
                "title": commit["title"],
                "message": commit["message"],
                "date": commit["date"],
                "authors": [{"user": commit["author"]}],
            }
            for commit in call.repo.history(call.repo.at(call.rev))
        ]
        return self.page(call, commits, min(50, self.page_size))

    # -- branches and tags ----------------------------------------------------------------------
    @route("GET", "/api/{kind}/{repo}/refs")
    def list_refs(self, call: Call) -> Response:
        groups = {"refs/heads/": "branches", "refs/tags/": "tags", "refs/convert/": "converts"}
        groups["refs/pr/"] = "pullRequests"
        answer = {group: [] for group in groups.values()}
        for ref, oid in call.repo.meta["refs"].items():
            prefix = next(prefix for prefix in groups if ref.startswith(prefix))
            answer[groups[prefix]].append({"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": oid})
        return JSONResponse(answer)

    @route("POST", "/api/{kind}/{repo}/{label}/{rev}", writes=True)
    def create_ref(self, call: Call) -> Response:
        wanted, is_tag = call.json(), call.values["label"] == "tag"
        ref = f"refs/tags/{wanted['tag']}" if is_tag else f"refs/heads/{call.rev}"
        if call.rev.startswith("refs/") and not is_tag:
            raise HubError(400, f"Invalid reference for a branch: {quote(call.rev)}")
        if ref in call.repo.meta["refs"]:
            raise HubError(409, f"Reference already exists: {quote(ref)}")
        start = call.rev if is_tag else wanted.get("startingPoint") or "main"
        call.repo.meta["refs"][ref] = call.repo.at(start)["oid"]
        call.repo.save()
        return JSONResponse({"ref": ref})

    @route("DELETE", "/api/{kind}/{repo}/{label}/{rev}", writes=True)
    def delete_ref(self, call: Call) -> Response:
        ref = f"refs/tags/{call.rev}" if call.values["label"] == "tag" else f"refs/heads/{call.rev}"
        if ref == "refs/heads/main":
            raise HubError(403, "Cannot delete the default branch")
        if call.repo.meta["refs"].pop(ref, None) is None:
            raise revision_not_found(call.rev)
        call.repo.save()
        return JSONResponse({})

    # -- files: pushing -------------------------------------------------------------------------
    @route("POST", "/api/{kind}/{repo}/preupload/{rev}", writes=True)
    def preupload(self, call: Call) -> Response:
        """Tell the client, file by file, whether to inline it in the commit or to upload it by LFS first."""
        wanted, commit, answers = call.json(), call.repo.at(call.rev), []
        attributes = (self.parsed_file(commit, ".gitattributes", str) or "").splitlines()
        patterns = [line.split()[0] for line in attributes if "filter=lfs" in line]
        ignored = [line for line in wanted.get("gitIgnore", "").split("\n") if line.strip() and line[0] != "#"]
        for file in wanted["files"]:
            path, binary = file["path"], b"\0" in base64.b64decode(file.get("sample") or "")
            lfs = binary or file.get("size", 0) > LFS_THRESHOLD or matches_any(path, patterns)
            known = commit["files"].get(path)
            answers.append(
                {
                    "path": path,
                    "uploadMode": "lfs" if lfs else "regular",
                    "shouldIgnore": matches_any(path, ignored),
                    "oid": known and known["sha256" if known["lfs"] else "oid"],
                }
            )
        return JSONResponse({"files": answers, "commitOid": commit["oid"]})

    @route("POST", "/{web}{repo}.git/info/lfs/objects/batch")
    def lfs_batch(self, call: Call) -> Response:
        wanted, objects = call.json(), []
        if wanted.get("operation") != "upload" or call.caller.role != "write":
            raise HubError(403, "This endpoint is for uploads with a write token; download by /resolve/")
        for item in wanted["objects"]:
            objects.append({"oid": item["oid"], "size": item["size"]})
            if not self.blob_path(item["oid"]).exists():
                href = f"{self.endpoint}/lfs/{item['oid']}?ticket={self.upload_ticket}"
                objects[-1]["actions"] = {"upload": {"href": href}}
        return JSONResponse({"transfer": "basic", "objects": objects})

    @route("PUT", "/lfs/{oid}")
    def lfs_upload(self, call: Call) -> Response:
        """Clients send no token here, as on S3: the ticket in the address is the permission."""
        if call.query.get("ticket") != self.upload_ticket:
            raise HubError(403, "This upload address is not valid")
        if hashlib.sha256(call.body).hexdigest() != call.values["oid"]:
            raise HubError(400, "The uploaded bytes do not have the announced sha256")
        self.add_blob(call.body)
        return Response()

    @route("POST", "/api/{kind}/{repo}/commit/{rev}", writes=True)
    def commit(self, call: Call) -> Response:
        operations = [json.loads(line) for line in call.body.splitlines() if line.strip()]
        header = next(operation["value"] for operation in operations if operation["key"] == "header")
        repo, parent, ref, answer = call.repo, call.repo.at(call.rev), call.repo.find_ref(call.rev), {}
        if header.get("parentCommit") not in (None, parent["oid"]):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        if call.flag("create_pr"):
            number = 1 + sum(known.startswith("refs/pr/") for known in repo.meta["refs"])
            ref = f"refs/pr/{number}"
            answer["pullRequestUrl"] = f"{self.endpoint}/{repo.url_path}/discussions/{number}"
        if not ref or ref.startswith("refs/tags/"):
            raise HubError(400, f"Can only commit to a branch, not to {quote(call.rev)}")
        files = self.apply(operations, parent)
        oid = repo.add_commit(ref, parent, files, header["summary"], header.get("description", ""), call.caller.user)
        url = f"{self.endpoint}/{repo.url_path}/commit/{oid}"
        return JSONResponse(answer | {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def apply(self, operations: list[dict], parent: dict) -> dict:
        """The file table after the operations of one commit."""
        files = dict(parent["files"])
        for operation in operations:
            key, value = operation["key"], operation["value"]
            if key == "file":
                sha256 = self.add_blob(base64.b64decode(value["content"]))
                files[value["path"]] = self.file_record(sha256, lfs=False)
            elif key == "lfsFile":
                files[value["path"]] = self.file_record(value["oid"], lfs=True)
            elif key in ("deletedFile", "deletedFolder"):
                prefix = value["path"].rstrip("/") + "/" if key == "deletedFolder" else None
                gone = [path for path in files if path == value["path"] or (prefix and path.startswith(prefix))]
                if not gone:
                    raise entry_not_found(value["path"], parent)
                files = {path: file for path, file in files.items() if path not in gone}
            elif key != "header":
                raise HubError(400, f"Unknown operation in a commit: {key}")
        return files

    def blob_path(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256[:2] / sha256

    def add_blob(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        if not self.blob_path(sha256).exists():
            write_atomically(self.blob_path(sha256), content)
        return sha256

    def file_record(self, sha256: str, lfs: bool) -> dict:
        """What a commit's file table says of a file with this content."""
        blob = self.blob_path(sha256)
        if not re.fullmatch("[0-9a-f]{64}", sha256) or not blob.exists():
            raise HubError(400, f"LFS object {quote(sha256)} was not uploaded")
        size = blob.stat().st_size
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        in_git = pointer if lfs else blob.read_bytes()
        oid = hashlib.sha1(b"blob %d\0" % len(in_git) + in_git).hexdigest()
        return {"oid": oid, "size": size, "sha256": sha256, "lfs": lfs, "pointer_size": len(pointer)}

    # -- files: downloading ---------------------------------------------------------------------
    @route("GET", "/{web}{repo}/resolve/{rev}/{path}")
    def download(self, call: Call) -> Response:
        commit, caller = call.repo.at(call.rev), call.caller
        if call.repo.meta["gated"] and not caller.owns(call.repo.namespace):
            raise HubError(401 if caller is ANONYMOUS else 403, f"Access to {call.repo.id} is restricted", "GatedRepo")
        file = commit["files"].get(call.path)
        if file is None:
            raise entry_not_found(call.path, commit)
        etag = f'"{file["sha256"] if file["lfs"] else file["oid"]}"'
        headers = {"X-Repo-Commit": commit["oid"], "ETag": etag}
        if file["lfs"]:
            headers |= {"X-Linked-Etag": etag, "X-Linked-Size": str(file["size"])}
        blob = self.blob_path(file["sha256"])
        cut = next((cut for cut in self.cuts if cut["match"] in call.path), None)
        if cut and call.request.method == "GET":
            self.cuts.remove(cut)
            with blob.open("rb") as content:
                beginning = content.read(cut["after"])
            return Response(beginning, headers=headers | {"Content-Length": str(file["size"])})
        media_type = "application/octet-stream" if file["lfs"] else "text/plain; charset=utf-8"
        return FileResponse(blob, headers=headers, media_type=media_type, filename=PurePosixPath(call.path).name)

    # -- for tests in another process -----------------------------------------------------------
    @route("GET", "/minihub/log")
    def read_log(self, call: Call) -> Response:
        return JSONResponse(list(self.log))

    @route("POST", "/minihub/cut")
    def add_cut(self, call: Call) -> Response:
        self.cuts.append(call.json())
        return JSONResponse({})


# -- starting it ----------------------------------------------------------------------------------
@contextlib.contextmanager
def serve(root: str | os.PathLike, port: int = 0, **options):
    """Serve `root` on a loopback port (a free one by default) from a thread; yields the Hub."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        hub = Hub(root, f"http://127.0.0.1:{listener.getsockname()[1]}", **options)
        server = uvicorn.Server(uvicorn.Config(hub, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield hub
        finally:
            server.should_exit = True
            thread.join(10)
