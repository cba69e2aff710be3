"""What the commands that ask a language model share: their options, the key, and how a run is estimated."""

import argparse
import getpass
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aesexpert.cli._command import positive


if TYPE_CHECKING:
    from aesexpert.llm import Client, Price, Request, Shard

EXAMPLES = 3
"""Prompts that a dry run shows."""


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which model is asked, and how fast."""
    parser.add_argument("--model", required=True, help="name of the model at the server")
    parser.add_argument(
        "--base-url",
        metavar="URL",
        help="OpenAI-compatible server, up to /v1 (default: the environment variable OPENAI_BASE_URL, or OpenAI); the "
        "API key is read from the environment variable OPENAI_API_KEY, never from an option",
    )
    parser.add_argument("--concurrency", type=positive, default=64, help="requests at a time (default: %(default)s)")
    parser.add_argument("--requests-per-minute", type=positive, metavar="N", help="limit (default: found by 429s)")
    parser.add_argument("--tokens-per-minute", type=positive, metavar="N", help="limit (default: found by 429s)")
    parser.add_argument("--timeout", type=positive, default=300, metavar="S", help="seconds a reply may take (300)")
    parser.add_argument("--temperature", type=float, help="randomness of the answers (default: the server's)")
    parser.add_argument("--max-tokens", type=positive, metavar="N", help="tokens an answer may have")
    parser.add_argument(
        "--price", nargs=2, type=float, metavar=("READ", "WRITTEN"), help="US dollars a million tokens, for the cost"
    )
    parser.add_argument("--batch", action="store_true", help="use the server's Batch API: cheaper, within a day")
    parser.add_argument("--batch-size", type=positive, default=10_000, metavar="N", help="requests a batch (10000)")
    parser.add_argument("--no-wait", action="store_true", help="with --batch: submit, collect what is there, and end")
    parser.add_argument("--cancel", action="store_true", help="with --batch: cancel this job's batches, and end")
    parser.add_argument("--dry-run", action="store_true", help="print requests, tokens, cost and examples only")


def add_shard_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that divide a job over machines."""
    parser.add_argument("--shard", type=shard, metavar="I/N", help="do part I of N, from 1/N to N/N, on this machine")
    parser.add_argument("--merge", action="store_true", help="join the journals of all shards, ask nothing")


def shard(text: str) -> "Shard":
    """Reads "2/8"."""
    from aesexpert.llm import Shard

    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard, expected I/N with I from 1 to N, such as 1/4")
    return Shard(int(number), int(count))


def parameters(options: argparse.Namespace) -> dict[str, float | int]:
    """The further fields of every request."""
    wanted = {"temperature": options.temperature, "max_tokens": options.max_tokens}
    return {name: value for name, value in wanted.items() if value is not None}


def make_client(options: argparse.Namespace) -> "Client":
    """Makes the client; on a terminal a missing key is asked for, unseen."""
    from aesexpert.llm import Client
    from aesexpert.llm.connection import ADDRESS, KEY

    key = os.environ.get(KEY)
    if not key and not (options.base_url or os.environ.get(ADDRESS)) and sys.stdin.isatty():
        key = getpass.getpass(f"{KEY}: ")
    return Client(
        options.base_url,
        options.model,
        key,
        options.concurrency,
        options.requests_per_minute,
        options.tokens_per_minute,
        timeout=options.timeout,
        price=price(options),
    )


def price(options: argparse.Namespace) -> "Price | None":
    """What tokens cost: as given, or as the table says, and half of that in batches."""
    from aesexpert.llm import Price, known_price
    from aesexpert.llm.prices import BATCH_DISCOUNT

    if options.price:
        return Price(*options.price)
    known = known_price(options.model)
    return Price(*(BATCH_DISCOUNT * part for part in known)) if known and options.batch else known


def estimate(requests: Iterable["Request"], completion_tokens: float, options: argparse.Namespace) -> None:
    """Prints what a run would come to, and some of its prompts."""
    from aesexpert.llm import estimate_tokens

    examples: list[Request] = []
    count = tokens = 0
    for request in requests:
        count, tokens = count + 1, tokens + estimate_tokens(request.messages)
        if len(examples) < EXAMPLES:
            examples.append(request)
    written, cost = int(count * completion_tokens), price(options)
    print(f"{count:,} requests, about {tokens:,} tokens to read and {written:,} to write, ", end="")
    print("cost unknown: give --price" if cost is None else f"about ${cost.cost(tokens, written):.2f}")
    for number, request in enumerate(examples, start=1):
        print(f"\n--- example {number}: {request.id} ---\n{_shown(request.messages)}")


def _shown(messages: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)


def ask(options: argparse.Namespace, requests: Iterable["Request"], total: int, journal: str) -> bool:
    """Asks everything, at once or in batches; answers go into the journal.

    Returns:
        `bool`: Whether every request has ended.
    """
    from aesexpert.llm import Batches, Journal

    client = make_client(options)
    if not options.batch:
        ended = sum(1 for _ in client.ask(requests, journal, total))
    else:
        with Journal(journal, client.connection.secret) as book:
            batches = Batches(client, requests, book, options.batch_size)
            if options.cancel:
                print(f"{batches.cancel()} batches cancelled")
                return False
            ended = sum(1 for _ in batches.run(wait=not options.no_wait))
    print(client.totals)
    if ended < total:
        print(f"{total - ended:,} requests are under way in batches; the same command collects them later")
    return ended == total
