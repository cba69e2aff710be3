"""The `aesexpert` command: one function a subcommand, each a thin layer over the library.

Everything heavy is imported inside these functions, so that `--help` answers at once.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from aesexpert._version import __version__
from aesexpert.taxonomy import Task


Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line.

    An error that the user can mend is printed in place of a traceback, and ends the process with status 1.

    Args:
        arguments (`Sequence[str]`, *optional*): The arguments, by default the process's.
    """
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except Exception as error:
        # what the package raises by a name of its own is meant for the user; anything else is a defect of ours
        if not (type(error).__module__.startswith("aesexpert.") or isinstance(error, FileNotFoundError)):
            raise
        print(f"aesexpert: error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def bench_run(options: argparse.Namespace) -> None:
    """`aesexpert bench run`: asks a model all questions of a benchmark file."""
    import aesexpert.models  # noqa: F401 (registers the classes of AesExpert)
    from aesexpert.bench import run
    from aesexpert.bench.items import bench_file, data_name

    out = options.out or _default_out(options, data_name(bench_file(options.data)))
    folder = run(
        options.model,
        options.data,
        out,
        control=options.control,
        tasks=[Task(task) for task in options.tasks],
        batch_size=options.batch_size,
    )
    print(f"answers in {folder}; next: aesexpert bench report {folder}")


def bench_loss(options: argparse.Namespace) -> None:
    """`aesexpert bench loss`: measures the loss of AesMMIT's responses."""
    import aesexpert.models  # noqa: F401 (registers the classes of AesExpert)
    from aesexpert.bench import response_loss

    out = options.out or _default_out(options, Path(options.data).resolve().name)
    result = response_loss(
        options.model,
        options.data,
        out,
        split=options.split,
        control=options.control,
        limit=options.limit,
        batch_size=options.batch_size,
    )
    for kind, numbers in {"all": result["overall"], **result["kinds"]}.items():
        print(f"{kind}: {numbers['loss']:.4f} nats a token ({numbers['tokens']} tokens)")


def bench_report(options: argparse.Namespace) -> None:
    """`aesexpert bench report`: writes the report of some run folders and prints its main tables."""
    from aesexpert.bench import write_report
    from aesexpert.bench.markdown import overview

    results = write_report(options.folders, options.out, options.paper)
    print(overview(results))
    print(f"\nthe whole report: {Path(options.out or options.folders[0]) / 'report.md'}")


def data_stats(options: argparse.Namespace) -> None:
    """`aesexpert data stats`: counts what a source folder or a data set holds."""
    from aesexpert.data import dataset_statistics, read_source, source_statistics

    folder = Path(options.folder)
    built = any(folder.glob("data/*.parquet"))
    statistics = dataset_statistics(folder) if built else source_statistics(read_source(folder))
    print(statistics.to_markdown())


def _default_out(options: argparse.Namespace, data: str) -> str:
    parts = [Path(options.model).resolve().name, data, options.control]
    return f"reports/{'-'.join(part for part in parts if part)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aesexpert", description="Image aesthetics perception with vision-language models."
    )
    parser.add_argument("--version", action="version", version=f"aesexpert {__version__}")
    groups = parser.add_subparsers(required=True, metavar="GROUP")
    bench = groups.add_parser("bench", help="run AesBench and report it", description="Run AesBench and report it.")
    bench_commands = bench.add_subparsers(required=True, metavar="COMMAND")
    _add_run(bench_commands)
    _add_loss(bench_commands)
    _add_report(bench_commands)
    data = groups.add_parser("data", help="look into data", description="Look into data.")
    _add_stats(data.add_subparsers(required=True, metavar="COMMAND"))
    return parser


def _add_command(
    commands: Subparsers, name: str, function: Callable[[argparse.Namespace], None], description: str, example: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=description[0].lower() + description[1:].rstrip("."),
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function)
    return parser


def _add_run(commands: Subparsers) -> None:
    example = "aesexpert bench run --model aesexpert-demo --data aesbench-data --out reports/demo"
    parser = _add_command(
        commands, "run", bench_run, "Ask a model all questions, or go on where a run stopped.", example
    )
    parser.add_argument("--model", required=True, help="model folder or Hub id (OWNER/NAME)")
    parser.add_argument("--data", required=True, help="folder with bench.jsonl, or a .jsonl file in such a folder")
    parser.add_argument("--out", help="run folder (default: reports/MODEL-DATA[-swapped])")
    tasks = list(map(str, Task))
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=tasks,
        default=tasks,
        metavar="TASK",
        help=f"of {', '.join(tasks)} (default: all)",
    )
    _add_shared(parser, "questions")


def _add_loss(commands: Subparsers) -> None:
    example = "aesexpert bench loss --model aesexpert-demo --data aesmmit --out reports/demo"
    description = "Measure how well a model predicts the responses of AesMMIT."
    parser = _add_command(commands, "loss", bench_loss, description, example)
    parser.add_argument("--model", required=True, help="model folder or Hub id (OWNER/NAME)")
    parser.add_argument("--data", required=True, help="what load_dataset reads: a folder or Hub id")
    parser.add_argument("--out", help="folder for loss.json (default: reports/MODEL-DATA[-swapped])")
    parser.add_argument("--split", default="validation", help="part of the data (default: %(default)s)")
    parser.add_argument("--limit", type=_positive, help="instructions a picture, drawn at random (default: all)")
    _add_shared(parser, "responses")


def _add_shared(parser: argparse.ArgumentParser, unit: str) -> None:
    parser.add_argument("--control", choices=["swapped"], help="show another picture with each picture's questions")
    parser.add_argument("--batch-size", type=_positive, default=8, help=f"{unit} at a time (default: %(default)s)")


def _add_report(commands: Subparsers) -> None:
    example = "aesexpert bench report reports/demo reports/start --paper --out reports"
    parser = _add_command(commands, "report", bench_report, "Score runs and write their report.", example)
    parser.add_argument("folders", nargs="+", metavar="DIR", help="run folder")
    parser.add_argument("--out", help="where to write (default: the first run folder)")
    parser.add_argument("--paper", action="store_true", help="add the rows of the paper's Table 3")


def _add_stats(commands: Subparsers) -> None:
    example = "aesexpert data stats dataset_scripts/demo"
    description = "Count what a source folder or a built data set holds."
    parser = _add_command(commands, "stats", data_stats, description, example)
    parser.add_argument("folder", metavar="FOLDER", help="source folder, or folder of a built data set")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value
