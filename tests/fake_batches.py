"""The Batch API of the tests' server: files, and batches that are worked off after a while, in no order."""

import asyncio
import email
import json
import random
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


if TYPE_CHECKING:
    from fake_openai import FakeOpenAI

EXPIRED = {"response": None, "error": {"code": "batch_expired", "message": "Not executed in time."}}
FAILED = {"response": {"status_code": 500, "body": {"error": {"message": "server error"}}}, "error": None}


class Batches:
    """Files and batches. What a batch answers is counted like any other answer, and as `batch`."""

    def __init__(self, server: "FakeOpenAI") -> None:
        self.server = server
        self.reset()
        self.routes = [
            Route("/v1/files", self.upload, methods=["POST"]),
            Route("/v1/files/{id}/content", self.content),
            Route("/v1/batches", self.create, methods=["POST"]),
            Route("/v1/batches", self.listed),
            Route("/v1/batches/{id}", self.get),
            Route("/v1/batches/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    def reset(self) -> None:
        """Begins anew."""
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def keep(self, data: bytes) -> str:
        """Stores a file and returns its name."""
        name = f"file-{len(self.files):04}"
        self.files[name] = data
        return name

    async def upload(self, http: Request) -> Response:
        """Takes a file."""
        head = f"content-type: {http.headers['content-type']}\r\n\r\n".encode()
        form = email.message_from_bytes(head + await http.body()).get_payload()
        file = next(part for part in form if part.get_param("name", header="content-disposition") == "file")
        data = file.get_payload(decode=True)
        meta = {"object": "file", "bytes": len(data), "created_at": 0, "filename": "in.jsonl", "purpose": "batch"}
        return JSONResponse({"id": self.keep(data), "status": "processed", **meta})

    async def content(self, http: Request) -> Response:
        """Gives a file back."""
        return PlainTextResponse(self.files[http.path_params["id"]])

    async def create(self, http: Request) -> Response:
        """Begins a batch."""
        refusal = self.server.unauthorised(http)
        if refusal:
            return refusal
        body, now = await http.json(), int(time.time())
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        batch = {
            "id": f"batch_{len(self.batches):04}",
            "object": "batch",
            "status": "in_progress",
            "created_at": now,
            "metadata": None,
            "errors": None,
            "output_file_id": None,
            "error_file_id": None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            **body,
        }
        self.batches[batch["id"]] = batch
        self.tasks.append(asyncio.create_task(self.work(batch, lines)))
        return JSONResponse(batch)

    async def listed(self, http: Request) -> Response:
        """Lists the batches, the newest first, two a page."""
        names = [*self.batches][::-1]
        after = http.query_params.get("after")
        names = names[names.index(after) + 1 :] if after else names
        page = [self.batches[name] for name in names[:2]]
        return JSONResponse({"object": "list", "data": page, "has_more": len(names) > 2})

    async def get(self, http: Request) -> Response:
        """Shows a batch."""
        return JSONResponse(self.batches[http.path_params["id"]])

    async def cancel(self, http: Request) -> Response:
        """Ends a batch early."""
        batch = self.batches[http.path_params["id"]]
        batch["status"] = "cancelled"
        return JSONResponse(batch)

    async def work(self, batch: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        """Answers a batch's requests, when its time has come."""
        config = self.server.config
        await asyncio.sleep(config.batch_seconds)
        if batch["status"] != "in_progress":
            return
        files: dict[str, list[Any]] = {"output_file_id": [], "error_file_id": []}
        for line in random.Random(config.seed).sample(lines, len(lines)):
            name = line["custom_id"]
            self.server.note(name, "asked")
            rng = random.Random(f"{config.seed}/{name}/{self.server.by_id[name]['asked']}")
            fault = rng.choices(
                (None, FAILED, EXPIRED), (1 - config.p500 - config.batch_expire, config.p500, config.batch_expire)
            )[0]
            if fault:
                files["error_file_id"].append({"custom_id": name, **fault})
            else:
                files["output_file_id"].append({"custom_id": name, "error": None, "response": self.answer(line, rng)})
        done, failed = map(len, files.values())
        batch["request_counts"] = {"total": len(lines), "completed": done, "failed": failed}
        for key, rows in files.items():
            if rows:
                batch[key] = self.keep("".join(json.dumps(row) + "\n" for row in rows).encode())
        batch["status"] = "expired" if config.batch_expire else "completed"

    def answer(self, line: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        """Answers one request of a batch."""
        content, is_good = self.server.answer(line["body"], rng, self.server.look(line["body"]))
        self.server.note(line["custom_id"], "paid", "batch", "good" if is_good else "bad")
        return {"status_code": 200, "body": content}
