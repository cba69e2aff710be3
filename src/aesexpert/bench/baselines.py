"""What answering without looking at pictures would score."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from aesexpert.bench.runs import Run
from aesexpert.taxonomy import CHOICE_TASKS, Task


def baselines(references: Sequence[Mapping[str, Any]], tasks: Collection[Task]) -> list[Run]:
    """Answers the choice tasks by two rules.

    "Most frequent answer" gives, to questions that share one set of options (such as yes and no), the answer that is
    right most often among them, and to all other questions the letter that is right most often among those. It knows
    the right answers' frequencies, so it is what a model can reach without pictures and without reading questions.
    "Longest option" gives the option of the most characters. Of equals the first counts.

    Args:
        references (`Sequence[Mapping[str, Any]]`): What is right, in the metric's form.
        tasks (`Collection[Task]`): The tasks to answer.

    Returns:
        `list[Run]`: The two baselines' answers; none if there is no choice task.
    """
    frequent, longest = {}, {}
    for task in (task for task in CHOICE_TASKS if task in tasks):
        questions = {reference["image_id"]: reference[task] for reference in references if reference[task]["options"]}
        for image_id, chosen in _most_frequent(questions).items():
            options = questions[image_id]["options"]
            frequent[image_id, task.value] = _lettered(options, chosen)
            longest[image_id, task.value] = _lettered(options, max(range(len(options)), key=lambda i: len(options[i])))
    rules = {"most frequent answer": frequent, "longest option": longest}
    return [Run(name, "baseline", None, answers) for name, answers in rules.items() if answers]


def _lettered(options: Sequence[str], chosen: int) -> str:
    return f"{ascii_uppercase[chosen]}) {options[chosen]}"


def _most_frequent(questions: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """The option that the rule chooses for every question."""
    sets = Counter(frozenset(question["options"]) for question in questions.values())
    answers: Counter[tuple[frozenset[str], str]] = Counter()
    letters: Counter[int] = Counter()
    for question in questions.values():
        options, answer = question["options"], question["answer"]
        if answer in options and sets[frozenset(options)] > 1:
            answers[frozenset(options), answer] += 1
        elif answer in options:
            letters[options.index(answer)] += 1

    def chosen(options: Sequence[str]) -> int:
        if sets[frozenset(options)] > 1:
            return max(range(len(options)), key=lambda i: answers[frozenset(options), options[i]])
        return max(range(len(options)), key=lambda i: letters[i])

    return {image_id: chosen(question["options"]) for image_id, question in questions.items()}
