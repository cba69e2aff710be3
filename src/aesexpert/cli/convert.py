"""`aesexpert convert`: from the paper's backbones, in their authors' layout, to models of this library."""

import argparse

from aesexpert.cli._command import Subparsers, add_command


def add_to(groups: Subparsers) -> None:
    """Adds this command to the command line."""
    example = "aesexpert convert llava-v1.5-7b aesexpert-7b-start --vision-tower clip-vit-large-patch14-336"
    description = "Convert a LLaVA-1.5 or mPLUG-Owl2 checkpoint."
    parser = add_command(groups, "convert", convert, description, example)
    parser.add_argument("source", metavar="SRC", help="folder of the checkpoint")
    parser.add_argument("out", metavar="OUT", help="folder to make; it must not exist")
    parser.add_argument("--family", choices=("auto", "llava", "owl2"), default="auto", help="backbone it must be")
    parser.add_argument("--vision-tower", metavar="DIR", help="folder of the CLIP that a LLaVA checkpoint names")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), help="by default the source's own")
    parser.add_argument(
        "--format",
        choices=("llava", "aesexpert"),
        default="llava",
        help="of LLaVA: a stock folder, or the registered type with its code (default: llava)",
    )
    parser.add_argument(
        "--allow-pickle", action="store_true", help="read .bin files too, as plain tensors and nothing else"
    )


def convert(options: argparse.Namespace) -> None:
    """`aesexpert convert`: converts a checkpoint, and says what became of its tensors."""
    from aesexpert.models.convert import convert_checkpoint

    report = convert_checkpoint(
        options.source,
        options.out,
        family=None if options.family == "auto" else options.family,
        vision_tower=options.vision_tower,
        dtype=options.dtype,
        checkpoint_format=options.format,
        allow_pickle=options.allow_pickle,
    )
    for note in report.notes:
        print(f"note: {note}")
    for name, reason in report.unused.items():
        print(f"left over: {name!a} ({reason})")
    print(
        f"{report.folder}: {report.family}, {report.parameters:,} parameters in {report.written} tensors, "
        f"{report.bytes / 1e9:.2f} GB"
    )
