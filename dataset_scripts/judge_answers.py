"""Has a language model judge the written answers of some runs of AesBench, one after the other, and reports them.

    python dataset_scripts/judge_answers.py reports/demo reports/start --model gpt-4o

The same as `aesexpert bench judge` on every folder and `aesexpert bench report` on all. The key is read from the
environment variable OPENAI_API_KEY; the same command goes on where a run stopped.
"""

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="DIR", help="run folder")
    parser.add_argument("--model", required=True, help="name of the judging model at the server")
    parser.add_argument("--base-url", help="OpenAI-compatible server")
    options = parser.parse_args(arguments)
    from aesexpert.cli import main as aesexpert

    server = ["--base-url", options.base_url] if options.base_url else []
    for folder in options.folders:
        aesexpert(["bench", "judge", folder, "--model", options.model, *server])
    aesexpert(["bench", "report", *options.folders])


if __name__ == "__main__":
    main()
