"""`aesexpert push`: publishing data set, models and metric on the Hub."""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from aesexpert.cli._command import Subparsers, add_command, add_group


if TYPE_CHECKING:
    from aesexpert.hub.publication import Destination, Publication


def add_to(groups: Subparsers) -> None:
    """Adds this group to the command."""
    commands = add_group(groups, "push", "Publish a data set, a model or the metric on the Hub.")
    _add_dataset(commands)
    _add_model(commands)
    _add_metric(commands)


def dataset(options: argparse.Namespace) -> None:
    """`aesexpert push dataset`: publishes AesMMIT, building it first from a source folder."""
    from aesexpert.data import read_source, write_dataset
    from aesexpert.hub.dataset import dataset_publication

    destination = _destination(options)
    with tempfile.TemporaryDirectory(prefix="aesexpert-") as scratch:
        folder = Path(options.folder)
        if (folder / "images").is_dir():
            folder = write_dataset(read_source(folder), Path(scratch) / "aesmmit", options.card_template)
        publication = dataset_publication(
            folder, licence=options.license, data_sources=options.data_source, card_template=options.card_template
        )
        _push(publication, destination, options.dry_run)


def model(options: argparse.Namespace) -> None:
    """`aesexpert push model`: publishes a model or an adapter."""
    from aesexpert.hub.adapters import merge_adapter
    from aesexpert.hub.model import model_publication

    destination = _destination(options)
    with tempfile.TemporaryDirectory(prefix="aesexpert-") as scratch:
        folder = Path(options.folder)
        if options.merge:
            folder = merge_adapter(folder, Path(scratch) / folder.resolve().name)
        publication = model_publication(
            folder,
            options.repo_id,
            licence=options.license,
            data_sources=options.data_source,
            base_models=options.base_model,
            report=options.report,
            card_template=options.card_template,
        )
        _push(publication, destination, options.dry_run)


def metric(options: argparse.Namespace) -> None:
    """`aesexpert push metric`: publishes the AesBench metric as a Space."""
    from aesexpert.hub.metric import metric_publication

    _push(metric_publication(options.repo_id), _destination(options), options.dry_run)


def _destination(options: argparse.Namespace) -> "Destination":
    """Reads where to publish, before any work is done for it."""
    from aesexpert.hub.publication import Destination

    return Destination(
        options.repo_id,
        private=not options.public,
        gated=options.gated,
        tag=options.tag,
        create_pr=options.create_pr,
    )


def _push(publication: "Publication", destination: "Destination", dry_run: bool) -> None:
    from aesexpert.hub.publication import publish

    if not dry_run:
        print(publish(publication, destination))
        return
    sizes = publication.sizes()
    for path, size in sizes.items():
        print(f"{size:>15,}  {path}")
    print(f"{sum(sizes.values()):>15,}  bytes in {len(sizes)} files; nothing was uploaded")


def _add_dataset(commands: Subparsers) -> None:
    from aesexpert.hub.templates import DATASET_CARD

    example = "aesexpert push dataset aesmmit acme/aesmmit --license other --data-source AADB"
    description = "Publish AesMMIT: a folder that build_aesmmit.py wrote, or a source folder."
    parser = add_command(commands, "dataset", dataset, description, example)
    parser.add_argument("folder", metavar="FOLDER", help="folder of the data set")
    _add_card(parser, "where pictures and texts come from", str(DATASET_CARD))
    _add_shared(parser)


def _add_model(commands: Subparsers) -> None:
    from aesexpert.hub.templates import MODEL_CARD

    example = (
        "aesexpert push model aesexpert-demo acme/aesexpert-demo --license apache-2.0 "
        "--data-source acme/aesmmit --report reports/written"
    )
    description = "Publish a trained model, or a LoRA adapter as an adapter."
    parser = add_command(commands, "model", model, description, example)
    parser.add_argument("folder", metavar="FOLDER", help="folder of the model")
    _add_card(parser, "what it was trained on: the Hub's name of a data set, or a description", str(MODEL_CARD))
    parser.add_argument(
        "--base-model",
        action="append",
        default=[],
        metavar="OWNER/NAME",
        help="the model that it was made from (default: the recipe's, if it is on the Hub); can be repeated",
    )
    parser.add_argument("--report", metavar="FILE", help="AesBench results: report.json of `aesexpert bench report`")
    parser.add_argument("--merge", action="store_true", help="merge a LoRA adapter into its model first")
    _add_shared(parser)


def _add_metric(commands: Subparsers) -> None:
    example = "aesexpert push metric acme/aesbench"
    parser = add_command(commands, "metric", metric, "Publish the AesBench metric as a Space.", example)
    _add_shared(parser)


def _add_card(parser: argparse.ArgumentParser, sources: str, template: str) -> None:
    parser.add_argument("--license", required=True, help="the licence's name on the Hub, such as apache-2.0 or other")
    parser.add_argument(
        "--data-source", required=True, action="append", metavar="TEXT", help=f"{sources}; can be repeated"
    )
    parser.add_argument(
        "--card-template", default=template, metavar="FILE", help="another Jinja template for the card"
    )


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="the repository; made if it is not there")
    parser.add_argument("--public", action="store_true", help="make a new repository public (default: private)")
    parser.add_argument("--gated", choices=["auto", "manual"], help="whoever downloads it has to ask first")
    parser.add_argument("--tag", help="a name for the new revision, such as v1.0")
    parser.add_argument("--create-pr", action="store_true", help="propose the change in a pull request")
    parser.add_argument("--dry-run", action="store_true", help="list files and sizes, and upload nothing")
