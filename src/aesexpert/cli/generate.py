"""`aesexpert generate`: question-answer pairs from critiques, by a language model."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aesexpert.cli._command import Subparsers, add_command, positive
from aesexpert.cli._llm import add_model_options, add_shard_options, ask, estimate, parameters


if TYPE_CHECKING:
    from aesexpert.instruct import Prompts

PAIRS = 10
"""Pairs a picture: 88K critiques of 21,904 pictures became about 321K instructions (section 3.3), two a pair."""


def add_to(groups: Subparsers) -> None:
    """Adds this command."""
    example = "aesexpert generate my-source --model gpt-4o --out generated"
    description = "Turn critiques into AesVQA with a language model, or go on where a run stopped."
    parser = add_command(groups, "generate", generate, description, example)
    parser.add_argument("source", metavar="SOURCE", help="source folder with sources.csv and feedback.jsonl")
    parser.add_argument("--out", help="folder for journal and results (default: generated/SOURCE-MODEL)")
    parser.add_argument("--pairs", type=positive, default=PAIRS, help="pairs a picture (default: %(default)s)")
    parser.add_argument("--prompts", metavar="DIR", help="folder with your own system.txt or pairs.txt")
    parser.add_argument(
        "--min-support",
        type=float,
        default=0.0,
        metavar="X",
        help="leave out pairs of which less occurs in the critiques, from 0 to 1 (default: keep and flag them)",
    )
    add_model_options(parser)
    add_shard_options(parser)


def generate(options: argparse.Namespace) -> None:
    """`aesexpert generate`: asks about every picture with critiques, checks and assembles."""
    from aesexpert.data.source import read_feedback
    from aesexpert.instruct import Prompts
    from aesexpert.instruct.asking import TOKENS_A_PAIR
    from aesexpert.llm.shards import WHOLE, journal_path

    shard = options.shard or WHOLE
    prompts, out = Prompts(options.prompts, parameters(options)), _out(options)
    feedback = {image_id: texts for image_id, texts in read_feedback(options.source).items() if image_id in shard}
    requests = prompts.requests(feedback, options.pairs)
    if options.dry_run:
        estimate(requests, options.pairs * TOKENS_A_PAIR, options)
    elif options.merge:
        _merge(out)
        _finish(options, prompts, out)
    elif not _ask_shards_first(options, out):
        is_done = ask(options, requests, len(feedback), str(journal_path(out, shard)))
        if is_done and shard is not WHOLE:
            print(f"shard {shard.number} of {shard.total} is done; when all are, run the same command with --merge")
        elif is_done:
            _finish(options, prompts, out)


def _out(options: argparse.Namespace) -> Path:
    name = f"{Path(options.source).resolve().name}-{Path(options.model).name}"
    return Path(options.out or f"generated/{name}")


def _ask_shards_first(options: argparse.Namespace, out: Path) -> bool:
    """Refuses to ask the whole where shards have asked parts of it."""
    from aesexpert.instruct import InstructError
    from aesexpert.llm.shards import journal_path, shard_journals

    if options.shard or not shard_journals(out) or journal_path(out).exists():
        return False
    raise InstructError(f"{out} has the journals of shards; join them with --merge, or go on with --shard")


def _merge(out: Path) -> None:
    from aesexpert.instruct import InstructError
    from aesexpert.llm import merge_journals
    from aesexpert.llm.shards import journal_path, shard_journals

    parts = shard_journals(out)
    if not parts and not journal_path(out).exists():
        raise InstructError(f"{out} has no journal to merge; run the shards first")
    merge_journals(parts, journal_path(out))


def _finish(options: argparse.Namespace, prompts: "Prompts", out: Path) -> None:
    from aesexpert.data.source import read_feedback
    from aesexpert.instruct import assemble, write_aesvqa

    feedback = read_feedback(options.source)
    counts = write_aesvqa(feedback, out, options.model, prompts, options.pairs, options.min_support)
    print(f"\n{counts.to_markdown()}")
    if not counts.taken:
        print(f"\nno pair was taken; {out / 'aesvqa'} says why")
    folder = assemble(options.source, out)
    print(f"\nsource folder in {folder}; next: python dataset_scripts/build_aesmmit.py {folder} aesmmit")
