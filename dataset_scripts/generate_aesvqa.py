"""Stage 2 of the paper on many processes or machines: critiques become AesVQA and a source folder for AesMMIT.

    python dataset_scripts/generate_aesvqa.py my-source --model gpt-4o --out generated --tasks 8
    python dataset_scripts/generate_aesvqa.py my-source --model gpt-4o --out generated --tasks 64 --executor slurm \
        --workers 8 --partition cpu

Each task has a shard of the pictures and a journal of its own. The same command goes on where a run stopped. When all
shards are done they are merged, checked and assembled, as `aesexpert generate --merge` does (with Slurm run that by
hand: its jobs are queued, not waited for). On one machine, `aesexpert generate` alone does the same in one process.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the script."""
    options = _parse(arguments)
    from aesexpert.cli import main as aesexpert
    from aesexpert.instruct.scale import GenerateShard
    from aesexpert.llm import LLMError
    from aesexpert.llm.scale import run_watched

    step = GenerateShard(
        options.source,
        options.out,
        options.base_url,
        options.model,
        ranks=options.workers,
        pairs=options.pairs,
        concurrency=options.concurrency,
        requests_per_minute=options.requests_per_minute,
    )
    executor = _executor(options, [step])
    try:
        run_watched(executor) if options.executor == "local" else executor.run()
    except LLMError as error:
        sys.exit(f"error: {error}")
    if options.executor != "slurm":
        pairs = ["--pairs", str(options.pairs)]
        aesexpert(["generate", options.source, "--model", options.model, "--out", options.out, "--merge", *pairs])


def _executor(options: argparse.Namespace, pipeline: list[Any]) -> Any:
    shared = {"tasks": options.tasks, "workers": options.workers, "logging_dir": f"{options.out}/logs"}
    if options.executor == "slurm":
        from datatrove.executor import SlurmPipelineExecutor

        return SlurmPipelineExecutor(pipeline, time=options.time, partition=options.partition, **shared)
    if options.executor == "ray":
        from datatrove.executor import RayPipelineExecutor

        return RayPipelineExecutor(pipeline, **shared)
    from datatrove.executor import LocalPipelineExecutor

    return LocalPipelineExecutor(pipeline, **shared)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="the source folder with the critiques")
    parser.add_argument("--model", required=True, help="name of the model at the server")
    parser.add_argument("--base-url", help="OpenAI-compatible server; the key is read from OPENAI_API_KEY")
    parser.add_argument("--out", required=True, help="folder for journals, results and logs")
    parser.add_argument("--pairs", type=int, default=10, help="pairs a picture")
    parser.add_argument("--tasks", type=int, default=2, help="shards")
    parser.add_argument("--workers", type=int, default=2, help="shards at a time")
    parser.add_argument("--concurrency", type=int, default=64, help="requests at a time of each worker")
    parser.add_argument("--requests-per-minute", type=float, help="the limit of all workers together")
    parser.add_argument("--executor", choices=["local", "slurm", "ray"], default="local", help="where to run")
    parser.add_argument("--time", default="24:00:00", help="Slurm's time limit")
    parser.add_argument("--partition", default="cpu", help="Slurm's partition")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
