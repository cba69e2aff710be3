"""The error of generation: something the user can mend, said in one message."""


class InstructError(ValueError):
    """Something that keeps question-answer pairs from being generated or assembled."""
