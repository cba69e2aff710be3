"""88,000 requests through the client: memory, the time to the first answer, and a restart with everything answered.

    python benchmarks/llm_queue.py

As many requests as the paper has critiques, of about a kilobyte, 256 at a time, at a server that answers after 0.1 s.
The restart finds no server: the journal has all answers, and each is read in the form that was asked for. Seconds
count from the start of the process; memory is its peak.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time

from llm_client import messages, running_server, schema


REQUESTS, CONCURRENCY = 88_000, 256
SERVER = ["--latency", "0.1", "--jitter", "0.02"]
NO_SERVER = "http://127.0.0.1:9/v1"


def main() -> None:
    """Runs both and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="how many requests (%(default)s)")
    parser.add_argument("--ask", nargs=2, metavar=("URL", "BEGUN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        ask(options.ask[0], options.requests, float(options.ask[1]))
        return
    print("| | answers | first after, s | all after, s | memory, MB |\n|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        with running_server(SERVER) as url:
            print(f"| asked | {measure(url, options.requests, folder)} |", flush=True)
        print(f"| restarted | {measure(NO_SERVER, options.requests, folder)} |")


def measure(url: str, requests: int, folder: str) -> str:
    """Asks in a process of its own and returns the cells of the table."""
    command = [sys.executable, __file__, "--requests", str(requests), "--ask", url, str(time.time())]
    result = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)
    cells = json.loads(result.stdout)
    return f"{cells['answers']:,} | {cells['first']:.1f} | {cells['all']:.1f} | {cells['megabytes']}"


def ask(url: str, count: int, begun: float) -> None:
    """Asks everything and prints what it took."""
    from aesexpert.llm import Client, Request

    form, first, answers = schema(), 0.0, 0
    requests = (Request(str(number), messages(number, pictures=False), form) for number in range(count))
    for answer in Client(url, "fake-gpt", concurrency=CONCURRENCY).ask(requests, "journal.jsonl"):
        first = first or time.time() - begun
        answers += answer.failure is None
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"answers": answers, "first": first, "all": time.time() - begun, "megabytes": megabytes}))


if __name__ == "__main__":
    main()
