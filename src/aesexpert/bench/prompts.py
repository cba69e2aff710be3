"""AesBench's prompts, in the words of its authors."""

from collections.abc import Sequence

from aesexpert.data.conversations import choice_question
from aesexpert.taxonomy import Task


CHOICE_ENDINGS = {
    Task.PERCEPTION: "You should output a correct option without explanation.",
    Task.EMPATHY: "You should output a correct option without explanation.",
    Task.ASSESSMENT: "You should output a correct option.",
}
"""How the prompt of each choice task ends."""


def task_prompt(task: Task, question: str, options: Sequence[str] = ()) -> str:
    """Asks a question of AesBench.

    Args:
        task (`Task`): The task that the question belongs to.
        question (`str`): The question.
        options (`Sequence[str]`, *optional*): The options of a choice task.

    Returns:
        `str`: The prompt. An interpretation question (AesI) is asked as it stands.

    Example:

    ```python
    >>> print(task_prompt(Task.ASSESSMENT, "How good is this picture?", ["High", "Medium", "Low"]))
    How good is this picture? Choose one from the following options:
    A) High
    B) Medium
    C) Low
    You should output a correct option.
    ```
    """
    if task is Task.INTERPRETATION:
        return question
    return f"{choice_question(question, options)}\n{CHOICE_ENDINGS[task]}"
