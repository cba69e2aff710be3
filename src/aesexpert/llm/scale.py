"""The same job on many machines: a shard of it as one step of a datatrove pipeline, for Slurm, Ray or this machine."""

import os
import signal
import threading
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from aesexpert.llm.client import Client
from aesexpert.llm.errors import LLMError, needs_extra
from aesexpert.llm.requests import Request
from aesexpert.llm.shards import Shard, journal_path


with needs_extra("scale"):
    import psutil
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.base import PipelineStep

WATCH_SECONDS, DRAIN_SECONDS = 1.0, 60.0


class AskShard(PipelineStep):
    """Asks a shard of a job's requests: rank r of w does shard r + 1 of w, with a journal of its own.

    What it needs is pickled and written to the executor's log, so it holds no key: every machine reads its own from
    the environment.

    Args:
        folder (`str`): The job's folder, which all machines see.
        base_url (`str`, *optional*): The server.
        model (`str`): The model.
        ranks (`int`): How many ranks run at a time; the limits below are divided by it.
        concurrency (`int`, *optional*, defaults to 64): Requests at a time, of one rank.
        requests_per_minute (`float`, *optional*): The most requests a minute, of all ranks together.
        tokens_per_minute (`float`, *optional*): The most tokens a minute, of all ranks together.
    """

    name = "AesExpert"
    type = "LLM"

    def __init__(
        self,
        folder: str,
        base_url: str | None,
        model: str,
        ranks: int,
        concurrency: int = 64,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.base_url, self.model, self.concurrency = str(folder), base_url, model, concurrency
        self.requests_per_minute = requests_per_minute and requests_per_minute / ranks
        self.tokens_per_minute = tokens_per_minute and tokens_per_minute / ranks

    @abstractmethod
    def requests(self) -> Iterable[Request]:
        """All requests of the job, the same on every machine."""

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Asks the shard of this rank. Documents, if there are any, pass through.

        Args:
            data (`Iterable[Document]`, *optional*): Documents of earlier steps.
            rank (`int`, *optional*, defaults to 0): The rank.
            world_size (`int`, *optional*, defaults to 1): The number of ranks.

        Yields:
            `Document`: The documents.
        """
        shard = Shard(rank + 1, world_size)
        client = Client(
            self.base_url,
            self.model,
            concurrency=self.concurrency,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
        )
        with self.track_time("shard"):
            for answer in client.ask(shard.of(self.requests()), journal_path(Path(self.folder), shard)):
                self.stat_update("failed" if answer.failure else "answered")
        self.stat_update("prompt_tokens", value=client.totals.prompt_tokens, unit="shard")
        self.stat_update("completion_tokens", value=client.totals.completion_tokens, unit="shard")
        yield from data or ()


def run_watched(executor: "LocalPipelineExecutor") -> None:
    """Runs a pipeline on this machine, and ends with an error where a worker is killed from outside.

    The executor by itself would wait for ever for the worker's rank: Python's process pool does not notice.

    Args:
        executor (`LocalPipelineExecutor`): The executor. The watch covers all processes that this one starts.

    Raises:
        `LLMError`: If a worker was killed; the others have then stopped after the answers under way.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            executor.run()
        except BaseException as error:  # raised again below
            failures.append(error)

    thread = threading.Thread(target=run, name="datatrove", daemon=True)
    thread.start()
    seen: set[int] = set()
    while thread.is_alive():
        running = _workers()
        if seen - running and executor.get_incomplete_ranks(skip_completed=True):
            time.sleep(WATCH_SECONDS)  # a rank that failed by itself ends the run on its own
            if thread.is_alive():
                _stop(running)
                raise LLMError("a worker was killed; what was answered is kept, run the same command again to go on")
        seen |= running
        thread.join(WATCH_SECONDS)
    if failures:
        raise failures[0]


def _workers() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def _stop(pids: set[int]) -> None:
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    for process in processes:
        os.kill(process.pid, signal.SIGTERM)
    for process in psutil.wait_procs(processes, timeout=DRAIN_SECONDS)[1]:
        process.kill()
