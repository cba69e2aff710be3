"""The `aesexpert` command: thin, one function a command."""


def main() -> None:
    """Entry point of `aesexpert` and `python -m aesexpert`."""
