import pytest

from aesexpert.bench.prompts import task_prompt
from aesexpert.taxonomy import Task
from bench_helpers import check_snapshot


QUESTIONS = {
    Task.PERCEPTION: ("How is the light in this picture?", ["Harsh", "Soft and warm", "Absent", "It is  even "]),
    Task.EMPATHY: ("Does the picture feel calm?", ["Yes", "No"]),
    Task.ASSESSMENT: ("How would you rate this picture's beauty?", ["High", "Medium", "Low"]),
    Task.INTERPRETATION: ("Describe the beauty of this picture,\nand what makes it.", []),
}


@pytest.mark.parametrize("task", list(Task))
def test_prompt_is_unchanged_to_the_character(task: Task) -> None:
    question, options = QUESTIONS[task]
    check_snapshot(f"prompts/{task}.txt", task_prompt(task, question, options))


def test_prompt_ends_without_a_line_break() -> None:
    assert task_prompt(Task.EMPATHY, "Calm?", ["Yes", "No"]) == (
        "Calm? Choose one from the following options:\nA) Yes\nB) No\n"
        "You should output a correct option without explanation."
    )
