"""The client against the limit of its server, side by side with two libraries and with OpenAI's own.

    python benchmarks/llm_client.py

    python -m venv /tmp/rivals
    /tmp/rivals/bin/pip install instructor==1.17.0 'datatrove[io]==0.10.1' httpx aiosqlite orjson
    python benchmarks/llm_client.py --rivals /tmp/rivals/bin/python

The server of the tests answers after 0.5 s +- 0.2; 1 % of requests fail with 500 or 503, and 2 % of answers are cut.
The limit is concurrency divided by latency, or the rate that the server lets through, which the clients have to find
by replies 429. The share of the limit is measured between the 10th and the 90th percentile of answers; cores are the
processor seconds of the client's process, start included, by seconds. datatrove's InferenceRunner gives up at the
first 500 from a server of this machine, so it gets none.
"""

import argparse
import base64
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


ROOT = Path(__file__).resolve().parents[1]
LATENCY, RATE, PICTURE_BYTES = 0.5, 60, 150_000
FAULTS = ["--p500", "0.01", "--pbad", "0.02"]
NO_500 = ["--pbad", "0.02"]
CRITIQUE = "The soft light models the face, while the cool background recedes. " * 15


class Scenario(NamedTuple):
    """What is asked of the clients.

    Args:
        concurrency (`int`): Requests at a time.
        requests (`int`): Requests in all.
        limit (`float`): Answers a second that are possible.
        server (`list[str]`): Options of the server.
        pictures (`bool`): Whether every request carries a picture.
    """

    concurrency: int
    requests: int
    limit: float
    server: list[str]
    pictures: bool = False


SCENARIOS = {
    "64 at a time": Scenario(64, 2000, 64 / LATENCY, FAULTS),
    "256 at a time": Scenario(256, 6000, 256 / LATENCY, FAULTS),
    "64, a limit of the rate": Scenario(64, 1500, RATE, [*FAULTS, "--rps", str(RATE)]),
    "64, pictures of 150 KB": Scenario(64, 1500, 64 / LATENCY, FAULTS, pictures=True),
}
RIVALS = ["instructor", "datatrove"]


def main() -> None:
    """Runs all scenarios with all clients and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rivals", help="interpreter of an environment with the other libraries")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), metavar="NAME")
    parser.add_argument("--client", nargs=3, metavar=("NAME", "URL", "SCENARIO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        name, url, scenario = options.client
        CLIENTS[name](url, SCENARIOS[scenario])
        return
    print("| scenario | client | share of the limit | cores | answered | replies 429 |\n|---|---|--:|--:|--:|--:|")
    for scenario in options.scenarios:
        clients = {"aesexpert": sys.executable}
        if SCENARIOS[scenario].limit != RATE and not SCENARIOS[scenario].pictures:
            clients |= {"openai": sys.executable}
            clients |= dict.fromkeys(RIVALS, options.rivals) if options.rivals else {}
        for name, interpreter in clients.items():
            print(f"| {scenario} | {name} | {measure(name, interpreter, scenario)} |", flush=True)


def measure(name: str, interpreter: str, scenario: str) -> str:
    """Runs one client and returns its cells of the table."""
    asked = SCENARIOS[scenario]
    server = NO_500 if name == "datatrove" else asked.server
    with running_server(server) as url, tempfile.TemporaryDirectory() as folder:
        before, begun = os.times(), time.monotonic()
        command = [interpreter, __file__, "--client", name, url, scenario]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds, after = time.monotonic() - begun, os.times()
        with urllib.request.urlopen(f"{url.removesuffix('/v1')}/_stats?full=1") as reply:
            stats = json.load(reply)
    times = sorted(stats["times"])
    low, high = len(times) // 10, 9 * len(times) // 10
    rate = (high - low) / (times[high] - times[low])
    cores = (after.children_user + after.children_system - before.children_user - before.children_system) / seconds
    answered = f"{stats['good_ids']:,} of {asked.requests:,}"
    return f"{100 * rate / asked.limit:.1f} % | {cores:.2f} | {answered} | {stats.get('e429', 0)}"


@contextmanager
def running_server(options: list[str]) -> Iterator[str]:
    """Runs the tests' server in a process of its own and yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    script = [sys.executable, str(ROOT / "tests" / "fake_openai.py"), "--port", str(port)]
    process = subprocess.Popen([*script, "--latency", str(LATENCY), "--jitter", "0.2", *options])
    try:
        for _ in range(300):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def messages(number: int, pictures: bool) -> list[dict[str, Any]]:
    """One prompt of about a kilobyte, with or without a picture."""
    text = f"{CRITIQUE}\nPicture {number}. Write questions and answers."
    if not pictures:
        return [{"role": "user", "content": text}]
    content = base64.b64encode(random.Random(number).randbytes(PICTURE_BYTES)).decode()
    url = {"url": f"data:image/jpeg;base64,{content}"}
    return [{"role": "user", "content": [{"type": "text", "text": text}, {"type": "image_url", "image_url": url}]}]


def schema() -> Any:
    """What is asked for."""
    from pydantic import BaseModel

    class Pair(BaseModel):
        question: str
        answer: str

    class Pairs(BaseModel):
        pairs: list[Pair]

    return Pairs


def response_format(form: Any) -> dict[str, Any]:
    """How it is asked for."""
    return {"type": "json_schema", "json_schema": {"name": form.__name__, "schema": form.model_json_schema()}}


def ask_aesexpert(url: str, scenario: Scenario) -> None:
    """This library's client, with its journal."""
    from aesexpert.llm import Client, Request

    form = schema()
    requests = (Request(str(n), messages(n, scenario.pictures), form) for n in range(scenario.requests))
    for _ in Client(url, "fake-gpt", concurrency=scenario.concurrency).ask(requests, "journal.jsonl"):
        pass


def ask_openai(url: str, scenario: Scenario) -> None:
    """OpenAI's client on the HTTP client that this library uses, with its own retries and no journal."""
    import asyncio

    from openai import AsyncOpenAI, DefaultAioHttpClient
    from pydantic import ValidationError

    form = schema()
    wanted = response_format(form)
    numbers = iter(range(scenario.requests))

    async def work(client: Any) -> None:
        for number in numbers:
            for _ in range(5):
                reply = await client.chat.completions.create(
                    model="fake-gpt", messages=messages(number, scenario.pictures), response_format=wanted
                )
                try:
                    form.model_validate_json(reply.choices[0].message.content)
                except ValidationError:
                    continue
                break

    async def run() -> None:
        http = DefaultAioHttpClient()
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=5, http_client=http) as client:
            await asyncio.gather(*(work(client) for _ in range(scenario.concurrency)))

    asyncio.run(run())


def ask_instructor(url: str, scenario: Scenario) -> None:
    """instructor on OpenAI's client, with as many tasks as requests may be under way."""
    import asyncio

    import instructor
    from openai import AsyncOpenAI

    form = schema()
    client = instructor.from_openai(
        AsyncOpenAI(base_url=url, api_key="none", max_retries=5), mode=instructor.Mode.JSON_SCHEMA
    )
    numbers = iter(range(scenario.requests))

    async def work() -> None:
        for number in numbers:
            await client.chat.completions.create(
                model="fake-gpt", messages=messages(number, scenario.pictures), response_model=form, max_retries=5
            )

    async def run() -> None:
        await asyncio.gather(*(work() for _ in range(scenario.concurrency)))

    asyncio.run(run())


def ask_datatrove(url: str, scenario: Scenario) -> None:
    """datatrove's InferenceRunner; an answer that cannot be parsed is asked for again."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
    from datatrove.pipeline.writers import JsonlWriter

    form = schema()
    wanted = response_format(form)

    async def rollout(document: Any, generate: Any) -> Any:
        for _ in range(5):
            body = {"messages": messages(int(document.id), scenario.pictures), "response_format": wanted}
            result = await generate(body)
            try:
                form.model_validate_json(result.text)
            except ValueError:
                continue
            return result
        return None

    config = InferenceConfig(
        server_type="endpoint",
        model_name_or_path="fake-gpt",
        endpoint_url=url.removesuffix("/v1"),
        max_concurrent_generations=scenario.concurrency,
        server_ready_delay_sec=0.1,
    )
    documents = [Document(text="", id=str(number)) for number in range(scenario.requests)]
    runner = InferenceRunner(rollout, config, JsonlWriter("out", compression=None))
    LocalPipelineExecutor([documents, runner], logging_dir="logs").run()


CLIENTS = {"aesexpert": ask_aesexpert, "openai": ask_openai, "instructor": ask_instructor, "datatrove": ask_datatrove}


if __name__ == "__main__":
    main()
