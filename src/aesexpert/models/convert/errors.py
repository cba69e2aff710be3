"""What a conversion says when it cannot be done."""


class ConversionError(ValueError):
    """A checkpoint that cannot be converted, with the file, what is wrong with it, and how to mend it."""
