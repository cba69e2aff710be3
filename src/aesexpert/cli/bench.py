"""`aesexpert bench`: running AesBench and reporting it."""

import argparse
from pathlib import Path

from aesexpert.bench.scoring import Scoring
from aesexpert.cli._command import Subparsers, add_command, add_group, positive
from aesexpert.cli._llm import add_model_options, ask, estimate, parameters
from aesexpert.taxonomy import Task


def add_to(groups: Subparsers) -> None:
    """Adds this group to the command."""
    commands = add_group(groups, "bench", "Run AesBench and report it.")
    _add_run(commands)
    _add_loss(commands)
    _add_judge(commands)
    _add_report(commands)
    _add_export(commands)
    _add_training_data(commands)


def run(options: argparse.Namespace) -> None:
    """`aesexpert bench run`: asks a model all questions of a benchmark file."""
    import aesexpert.models  # noqa: F401 (registers the classes of AesExpert)
    from aesexpert.bench import run as run_bench
    from aesexpert.bench.items import bench_file, data_name

    out = options.out or _default_out(options, data_name(bench_file(options.data)), options.scoring)
    folder = run_bench(
        options.model,
        options.data,
        out,
        control=options.control,
        tasks=[Task(task) for task in options.tasks],
        scoring=options.scoring,
        batch_size=options.batch_size,
    )
    print(f"answers in {folder}; next: aesexpert bench report {folder}")


def loss(options: argparse.Namespace) -> None:
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


def judge(options: argparse.Namespace) -> None:
    """`aesexpert bench judge`: has a language model score the written answers of a run."""
    from aesexpert.bench.judge import JOURNAL, ROUNDS, TOKENS_A_JUDGEMENT, requests, to_judge, write_judgements

    judged = to_judge(options.folder)
    asked = requests(judged, parameters(options))
    if options.dry_run:
        estimate(asked, TOKENS_A_JUDGEMENT, options)
    elif ask(options, asked, ROUNDS * len(judged), f"{options.folder}/{JOURNAL}"):
        summary = write_judgements(options.folder, options.model, judged, parameters(options))
        print(f"AesI {summary['interpretation']:.3f} of 2 over {summary['judged']} answers", end="")
        print(f", {summary['not_judged']} not judged" if summary["not_judged"] else "", end="")
        print(f"; next: aesexpert bench report {options.folder}")


def report(options: argparse.Namespace) -> None:
    """`aesexpert bench report`: writes the report of some run folders and prints its main tables."""
    from aesexpert.bench import write_report
    from aesexpert.bench.markdown import overview

    results = write_report(options.folders, options.out, options.paper)
    print(overview(results))
    print(f"\nthe whole report: {Path(options.out or options.folders[0]) / 'report.md'}")


def training_data(options: argparse.Namespace) -> None:
    """`aesexpert bench training-data`: compares models that were tuned on different data."""
    from aesexpert.bench.training_data import MARKDOWN, write_training_data_report

    write_training_data_report(options.folders, options.out)
    print((Path(options.out) / MARKDOWN).read_text(encoding="utf-8"))


def export(options: argparse.Namespace) -> None:
    """`aesexpert bench export`: writes a run's answers as the benchmark's authors take them."""
    from aesexpert.bench.export import export_submission

    for file in export_submission(options.folder, options.out):
        print(file)


def _default_out(options: argparse.Namespace, data: str, scoring: str = Scoring.GENERATE) -> str:
    unusual = scoring if scoring != Scoring.GENERATE else None
    parts = [Path(options.model).resolve().name, data, unusual, options.control]
    return f"reports/{'-'.join(part for part in parts if part)}"


def _add_run(commands: Subparsers) -> None:
    example = "aesexpert bench run --model aesexpert-demo --data aesbench-data --out reports/demo"
    parser = add_command(commands, "run", run, "Ask a model all questions, or go on where a run stopped.", example)
    parser.add_argument("--model", required=True, help="model folder or Hub id (OWNER/NAME)")
    parser.add_argument("--data", required=True, help="folder with bench.jsonl, or a .jsonl file in such a folder")
    parser.add_argument("--out", help="run folder (default: reports/MODEL-DATA[-logits][-swapped])")
    tasks = list(map(str, Task))
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=tasks,
        default=tasks,
        metavar="TASK",
        help=f"of {', '.join(tasks)} (default: all)",
    )
    parser.add_argument(
        "--scoring",
        choices=list(map(str, Scoring)),
        default=str(Scoring.GENERATE),
        help="how choices are taken: what the model writes, as in the paper, or its likeliest option letter "
        "(default: %(default)s)",
    )
    _add_shared(parser, "pictures (with all of their questions)", batch_size=4)


def _add_loss(commands: Subparsers) -> None:
    example = "aesexpert bench loss --model aesexpert-demo --data aesmmit --out reports/demo"
    description = "Measure how well a model predicts the responses of AesMMIT."
    parser = add_command(commands, "loss", loss, description, example)
    parser.add_argument("--model", required=True, help="model folder or Hub id (OWNER/NAME)")
    parser.add_argument("--data", required=True, help="what load_dataset reads: a folder or Hub id")
    parser.add_argument("--out", help="folder for loss.json (default: reports/MODEL-DATA[-swapped])")
    parser.add_argument("--split", default="validation", help="part of the data (default: %(default)s)")
    parser.add_argument("--limit", type=positive, help="instructions a picture, drawn at random (default: all)")
    _add_shared(parser, "responses", batch_size=8)


def _add_shared(parser: argparse.ArgumentParser, unit: str, batch_size: int) -> None:
    parser.add_argument("--control", choices=["swapped"], help="show another picture with each picture's questions")
    parser.add_argument(
        "--batch-size", type=positive, default=batch_size, help=f"{unit} at a time (default: %(default)s)"
    )


def _add_judge(commands: Subparsers) -> None:
    example = "aesexpert bench judge reports/demo --model gpt-4o"
    description = "Have a language model score the written answers (AesI), or go on where it stopped."
    parser = add_command(commands, "judge", judge, description, example)
    parser.add_argument("folder", metavar="DIR", help="run folder")
    add_model_options(parser)


def _add_report(commands: Subparsers) -> None:
    example = "aesexpert bench report reports/demo reports/start --paper --out reports"
    parser = add_command(commands, "report", report, "Score runs and write their report.", example)
    parser.add_argument("folders", nargs="+", metavar="DIR", help="run folder")
    parser.add_argument("--out", help="where to write (default: the first run folder)")
    parser.add_argument("--paper", action="store_true", help="add the rows of the paper's Table 3")


def _add_export(commands: Subparsers) -> None:
    example = "aesexpert bench export reports/mine"
    description = "Write a run's answers as the files that AesBench's authors score."
    parser = add_command(commands, "export", export, description, example)
    parser.add_argument("folder", metavar="DIR", help="run folder")
    parser.add_argument("--out", help="where to write (default: submission/ in the run folder)")


def _add_training_data(commands: Subparsers) -> None:
    example = "aesexpert bench training-data reports/feedback-only reports/full --out reports/training-data"
    description = "Compare models that were tuned on different data (figure 4)."
    parser = add_command(commands, "training-data", training_data, description, example)
    parser.add_argument("folders", nargs="+", metavar="DIR", help="run folder of a model")
    parser.add_argument("--out", required=True, help="where to write")
