"""The one error of the benchmark: something the user can mend, said in one message."""


class BenchError(ValueError):
    """Something that keeps AesBench from running or reporting: a model, a file or a folder that does not fit."""
