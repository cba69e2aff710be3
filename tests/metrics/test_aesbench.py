import ast
import csv
import doctest
import json
import os
import random
import re
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate
import pandas as pd
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aesexpert.metrics import aesbench as package
from aesexpert.metrics.aesbench import CONFIGS, Choice, aesbench, aesbench_scores, grade_choices, read_choice


GOLDEN = Path(__file__).parents[1] / "golden"
CHOICES = json.loads((GOLDEN / "aesbench_choices.json").read_text(encoding="utf-8"))
SCORES = json.loads((GOLDEN / "aesbench_scores.json").read_text(encoding="utf-8"))
FILE = Path(aesbench.__file__)

CONTRASTS = ["Low contrast", "High contrast", "Soft light", "Harsh light"]
LABELS = {
    "dimension": ["technical quality", "color and light", "composition", "content", ""],
    "question_type": ["yes-no", "what", "how", "why", ""],
}
SOURCES = ["NI", "AI", "AGI"]
CRITERIA = ("relevance", "precision", "completeness")
NOT_JUDGED = dict.fromkeys(CRITERIA)


# Reading an answer.


@pytest.mark.parametrize("case", CHOICES, ids=lambda case: f"{case['response']!r:.40}")
def test_reads_the_golden_answers(case: dict[str, Any]) -> None:
    assert read_choice(case["response"], case["options"]) == case["expected"], case["reason"]


def test_golden_answers_have_reasons_and_differ() -> None:
    assert all(case["reason"] for case in CHOICES)
    assert len({(case["response"], *case["options"]) for case in CHOICES}) == len(CHOICES)


words = st.text(string.ascii_lowercase, min_size=3, max_size=9)
texts = st.lists(words, min_size=1, max_size=4).map(" ".join)
options_lists = st.lists(texts, min_size=1, max_size=9, unique=True)


@given(st.text(), st.lists(st.text(), max_size=30))
@settings(deadline=None)
def test_any_text_is_read_or_unreadable(response: str, options: list[str]) -> None:
    index = read_choice(response, options)
    assert index is None or index in range(len(options))


snippets = st.sampled_from(
    [
        "A",
        "B) ",
        "(C)",
        "\n",
        " or ",
        ", ",
        "not ",
        "The answer is ",
        "I ",
        "soft",
        "hard light",
        "**",
        "</think>",
        "?",
    ]
)


@given(st.lists(snippets, max_size=12).map("".join), st.permutations(["soft", "hard light", "not soft", "B"]))
@settings(deadline=None)
def test_answers_put_together_from_pieces_are_read_or_unreadable(response: str, options: list[str]) -> None:
    index = read_choice(response, options)
    assert index is None or index in range(4)


@given(options_lists, st.data())
@settings(deadline=None)
def test_an_option_is_read_in_every_form(options: list[str], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(options) - 1))
    letter, text = string.ascii_uppercase[index], options[index]
    marked = [
        letter,
        f"{letter}.",
        f"{letter})",
        f"({letter})",
        f"**{letter}**",
        rf"\boxed{{{letter}}}",
        letter.lower(),
    ]
    paired = [f"{mark} {text}" for mark in (f"{letter})", f"({letter})", f"{letter}:", f"{letter}.", f"**{letter}**")]
    alone = [text, text.upper(), f'"{text}."', f"  {text}\n"]
    for answer in (*marked, *paired, *alone):
        assert read_choice(answer, options) == index, answer
    for answer in (*marked[:4], *paired):
        assert read_choice(f"The answer is {answer}", options) == index, answer


@given(options_lists, st.data())
@settings(deadline=None)
def test_a_letter_with_another_options_text_is_unreadable(options: list[str], data: st.DataObject) -> None:
    assume(len(options) > 1)
    one, other = data.draw(st.permutations(range(len(options))))[:2]
    assert read_choice(f"({string.ascii_uppercase[one]}) {options[other]}", options) is None


@given(options_lists, st.data())
@settings(deadline=None)
def test_two_options_are_unreadable(options: list[str], data: st.DataObject) -> None:
    assume(len(options) > 1)
    one, other = data.draw(st.permutations(range(len(options))))[:2]
    first, second = string.ascii_uppercase[one], string.ascii_uppercase[other]
    for answer in (f"{first}) or {second})", f"{first}, {second}", f"({first})({second})", f"({first})\n({second})"):
        assert read_choice(answer, options) is None, answer


@given(st.integers(0, 8), st.integers(0, 8))
def test_a_letter_beyond_the_options_is_unreadable(count: int, beyond: int) -> None:
    letter = string.ascii_uppercase[count + beyond]
    assert read_choice(f"({letter})", [f"option number {i}" for i in range(count)]) is None


@pytest.mark.parametrize(
    "piece", ["answer ", "the ", "(B)", "\n", ".", "B and ", "- ", "not (B) ", "<think>", "Soft light "]
)
def test_reading_time_stays_small_for_degenerate_answers(piece: str) -> None:
    start = time.process_time()
    read_choice(piece * 500, CONTRASTS)
    assert time.process_time() - start < 2


# Grading and scoring.


def question(answer: str = "", options: tuple[str, ...] = (), **labels: str) -> dict[str, Any]:
    return {"answer": answer, "options": list(options), "dimension": "", "question_type": "", **labels}


@pytest.mark.parametrize("case", SCORES, ids=lambda case: case["reason"])
def test_gives_the_golden_scores(case: dict[str, Any]) -> None:
    scores = aesbench_scores(case["predictions"], case["references"], case["config_name"])
    assert scores == pytest.approx(case["expected"])
    assert list(scores) == list(case["expected"])


def test_scores_are_plain_numbers() -> None:
    for case in SCORES:
        scores = aesbench_scores(case["predictions"], case["references"], case["config_name"])
        counts = ("/n", "/unparsed", "/unjudged")
        assert all(
            value is None or type(value) is (int if key.endswith(counts) else float) for key, value in scores.items()
        )


def test_grades_answer_by_answer() -> None:
    references = [question("High", ("High", "Low"))] * 3 + [question("", ("High", "Low")), question()]
    choices = grade_choices(["A", "low", "High or low", "A", ""], references)
    assert choices == [Choice(0, True), Choice(1, False), Choice(None, False), None, None]


def random_data(seed: int, pictures: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Pictures with random questions, some of them lacking, and answers of every kind."""
    draw = random.Random(seed)
    predictions, references = [], []
    for _ in range(pictures):
        prediction: dict[str, Any] = {}
        reference: dict[str, Any] = {"source": draw.choice(SOURCES)}
        for task in ("perception", "empathy", "assessment"):
            options = draw.sample(CONTRASTS, k=draw.randint(2, 4))
            labels = {name: draw.choice(values) for name, values in LABELS.items()}
            has_task = draw.random() < 0.8
            reference[task] = question(draw.choice(options), tuple(options), **labels) if has_task else question()
            index = draw.randrange(len(options))
            letter = string.ascii_uppercase[index]
            prediction[task] = draw.choice([letter, f"({letter})", options[index], "A or B", "I cannot tell"])
        judged = draw.random() < 0.7
        prediction["interpretation"] = (
            {c: draw.choice([0.0, 1.0, 1.4, 2.0]) for c in CRITERIA} if judged else NOT_JUDGED
        )
        predictions.append(prediction)
        references.append(reference)
    return predictions, references


def plain_choice_scores(
    task: str, predictions: list[dict[str, Any]], references: list[dict[str, Any]]
) -> dict[str, Any]:
    """The same scores from a table, with a reader that knows no more than the random answers."""
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        asked = reference[task]
        known = {string.ascii_uppercase[i]: option for i, option in enumerate(asked["options"])}
        answer = prediction[task].strip("()")
        chosen = known.get(answer, answer if answer in asked["options"] else None)
        labels = {name: asked[name].replace(" ", "_") for name in LABELS} | {"source": reference["source"]}
        right = float(chosen == asked["answer"]) if asked["answer"] else None
        rows.append({"right": right, "unread": chosen is None and right is not None, **labels})
    table = pd.DataFrame(rows)
    scores = {
        task: table["right"].mean(),
        f"{task}/n": table["right"].count(),
        f"{task}/unparsed": table["unread"].sum(),
    }
    for name in ("dimension", "source", "question_type"):
        for label, group in table[table[name] != ""].groupby(name):
            scores |= {
                f"{task}/{name}/{label}": group["right"].mean(),
                f"{task}/{name}/{label}/n": group["right"].count(),
            }
    return {key: None if pd.isna(value) else value for key, value in scores.items()}


def plain_judgement_scores(predictions: list[dict[str, Any]], references: list[dict[str, Any]]) -> dict[str, Any]:
    """The same scores in loops."""
    scores: dict[str, Any] = {"interpretation/unjudged": 0}
    values: dict[str, list[float]] = {}
    for prediction, reference in zip(predictions, references, strict=True):
        judgement = prediction["interpretation"]
        values.setdefault(f"interpretation/source/{reference['source']}", [])
        if judgement["relevance"] is None:
            scores["interpretation/unjudged"] += 1
            continue
        for criterion in CRITERIA:
            values.setdefault(f"interpretation/{criterion}", []).append(judgement[criterion])
        mean = (judgement["relevance"] + judgement["precision"] + judgement["completeness"]) / 3
        values.setdefault("interpretation", []).append(mean)
        values[f"interpretation/source/{reference['source']}"].append(mean)
    for key, known in values.items():
        scores |= {key: sum(known) / len(known) if known else None, f"{key}/n": len(known)}
    return scores


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_a_plain_computation(seed: int) -> None:
    predictions, references = random_data(seed, pictures=5 + 40 * seed)
    expected = plain_judgement_scores(predictions, references)
    for task in ("perception", "empathy", "assessment"):
        expected |= plain_choice_scores(task, predictions, references)
    parts = [expected[task] for task in ("perception", "empathy", "assessment", "interpretation")]
    expected["overall"] = sum(parts) / 4
    assert aesbench_scores(predictions, references) == pytest.approx(expected)


@pytest.mark.parametrize("task", ["perception", "empathy", "assessment"])
def test_one_task_alone_scores_as_among_all(task: str) -> None:
    predictions, references = random_data(11, pictures=50)
    together = aesbench_scores(predictions, references)
    asked = [{**reference[task], "source": reference["source"]} for reference in references]
    alone = aesbench_scores([prediction[task] for prediction in predictions], asked, task)
    assert alone == {key: value for key, value in together.items() if key.split("/")[0] == task}


def test_interpretation_alone_scores_as_among_all() -> None:
    predictions, references = random_data(12, pictures=50)
    together = aesbench_scores(predictions, references)
    alone = aesbench_scores([prediction["interpretation"] for prediction in predictions], references, "interpretation")
    assert alone == {key: value for key, value in together.items() if key.startswith("interpretation")}


@given(st.randoms(use_true_random=False), st.integers(0, 12))
@settings(deadline=None, max_examples=30)
def test_counts_add_up_and_order_does_not_matter(generator: random.Random, pictures: int) -> None:
    predictions, references = random_data(generator.randrange(10**6), pictures)
    scores = aesbench_scores(predictions, references)
    for task in ("perception", "empathy", "assessment"):
        asked = [reference[task] for reference in references]
        choices = [c for c in grade_choices([p[task] for p in predictions], asked) if c]
        read = sum(choice.chosen is not None for choice in choices)
        assert scores[f"{task}/n"] == read + scores[f"{task}/unparsed"] == len(choices)
        by_source = [scores[f"{task}/source/{source}/n"] for source in {r["source"] for r in references}]
        assert sum(by_source) == scores[f"{task}/n"]
    order = generator.sample(range(pictures), pictures)
    assert aesbench_scores([predictions[i] for i in order], [references[i] for i in order]) == scores


def test_nothing_to_score() -> None:
    scores = aesbench_scores([], [])
    assert scores["overall"] is None and scores["perception"] is None and scores["perception/n"] == 0


def test_the_keys_depend_on_the_references_only() -> None:
    predictions, references = random_data(13, pictures=20)
    silent = [{**dict.fromkeys(prediction, ""), "interpretation": NOT_JUDGED} for prediction in predictions]
    assert list(aesbench_scores(predictions, references)) == list(aesbench_scores(silent, references))


def test_overall_counts_interpretation_as_the_paper_does() -> None:
    """AesExpert (L-13B) in Table 3, from as many answers as it takes to have the paper's decimals."""
    right = {"perception": 7954, "empathy": 8489, "assessment": 5957}
    judged = {"relevance": 1.412, "precision": 1.410, "completeness": 1.198}
    reference = {task: question("Yes", ("Yes", "No")) for task in right} | {"source": "NI"}
    predictions = [
        {task: "Yes" if number < count else "No" for task, count in right.items()} | {"interpretation": judged}
        for number in range(10_000)
    ]
    scores = aesbench_scores(predictions, [reference] * len(predictions))
    assert scores["interpretation"] == pytest.approx(1.340)
    assert round(scores["overall"] * 100, 2) == pytest.approx(89.50)


# Refusing what cannot be scored.


@pytest.mark.parametrize(
    ("predictions", "references", "config_name", "message"),
    [
        ([], [], "aesp", "`config_name` is 'aesp', expected one of default, perception"),
        (["A"], [], "perception", "got 1 `predictions` for 0 `references`"),
        ([{}], [], "default", "got 1 `predictions` for 0 `references`"),
        ([{"perception": "A"}], [{}], "default", r"`predictions\[0\]` lacks empathy, assessment, interpretation"),
        (
            ["A"],
            [{"answer": "x", "options": ["x"]}],
            "empathy",
            r"`references\[0\]` lacks dimension, source, question_type",
        ),
        (["A"], [{"dimension": "", "source": "", "question_type": ""}], "empathy", r"lacks answer, options"),
        (
            [{"relevance": 1.0}],
            [{"source": ""}],
            "interpretation",
            r"`predictions\[0\]` lacks precision, completeness",
        ),
        ([NOT_JUDGED], [{}], "interpretation", r"`references\[0\]` lacks source"),
        (
            [dict.fromkeys(CRITERIA, 2.5)],
            [{"source": ""}],
            "interpretation",
            r"has 2.5 for relevance, expected a number from 0",
        ),
        ([dict.fromkeys(CRITERIA, -1)], [{"source": ""}], "interpretation", r"has -1 for relevance"),
        ([dict.fromkeys(CRITERIA, float("nan"))], [{"source": ""}], "interpretation", r"has nan for relevance"),
        (
            ["A"],
            [question("B", ("Soft", "Harsh"), source="NI")],
            "perception",
            r"\[0\]` has the answer 'B', expected the text",
        ),
        (["A"], [question("Soft", (), source="NI")], "perception", r"has the answer 'Soft'"),
    ],
)
def test_says_what_is_wrong(predictions: Any, references: Any, config_name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        aesbench_scores(predictions, references, config_name)


def test_grading_wants_as_many_answers_as_questions() -> None:
    with pytest.raises(ValueError, match="got 2 `predictions` for 1 `references`"):
        grade_choices(["A", "B"], [question("Soft", ("Soft", "Harsh"))])


# The module of the `evaluate` library.


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., evaluate.Metric]:
    """`evaluate.load` in a folder that holds the metric's folder as it goes to the Hub."""
    shutil.copytree(FILE.parent, tmp_path / "aesbench", ignore=shutil.ignore_patterns("__*__*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate.config, "HF_EVALUATE_OFFLINE", True)
    return lambda *args: evaluate.load("aesbench", *args, cache_dir=str(tmp_path / "cache"))


@pytest.mark.parametrize("case", SCORES, ids=lambda case: case["reason"])
def test_loads_and_gives_the_golden_scores(case: dict[str, Any], load: Callable[..., evaluate.Metric]) -> None:
    metric = load() if case["config_name"] == "default" else load(case["config_name"])
    scores = metric.compute(predictions=case["predictions"], references=case["references"])
    assert scores == pytest.approx(case["expected"])
    assert list(scores) == list(case["expected"])


@pytest.mark.parametrize("config_name", CONFIGS)
def test_every_configuration_agrees_with_the_function(config_name: str, load: Callable[..., evaluate.Metric]) -> None:
    predictions, references = random_data(21, pictures=30)
    if config_name == "interpretation":
        references = [{"source": reference["source"]} for reference in references]
    elif config_name != "default":
        references = [{**reference[config_name], "source": reference["source"]} for reference in references]
    answers = predictions if config_name == "default" else [prediction[config_name] for prediction in predictions]
    expected = aesbench_scores(answers, references, config_name)
    assert load(config_name).compute(predictions=answers, references=references) == expected
    metric = load(config_name)
    for answer, reference in zip(answers, references, strict=True):
        metric.add(prediction=answer, reference=reference)
    assert metric.compute() == expected


def test_refuses_an_unknown_configuration(load: Callable[..., evaluate.Metric]) -> None:
    with pytest.raises(ValueError, match="`config_name` is 'aesp'"):
        load("aesp")


def without(record: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != key}


BROKEN: dict[str, Callable[[dict[str, Any], dict[str, Any]], tuple[Any, Any]]] = {
    "a task is missing in the prediction": lambda p, r: (without(p, "empathy"), r),
    "a task is missing in the reference": lambda p, r: (p, without(r, "empathy")),
    "the source is missing": lambda p, r: (p, without(r, "source")),
    "the options are missing": lambda p, r: (p, {**r, "empathy": without(r["empathy"], "options")}),
    "a criterion is missing": lambda p, r: ({**p, "interpretation": without(p["interpretation"], "precision")}, r),
    "an extra key in the prediction": lambda p, r: ({**p, "image_id": "1"}, r),
    "an extra key in the reference": lambda p, r: (p, {**r, "image_id": "1"}),
    "no record of judgements": lambda p, r: ({**p, "interpretation": None}, r),
    "no answer": lambda p, r: ({**p, "empathy": None}, r),
    "no prediction": lambda p, r: (None, r),
    "no reference": lambda p, r: (p, None),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_refuses_records_that_do_not_fit(broken: str, load: Callable[..., evaluate.Metric]) -> None:
    predictions, references = random_data(22, pictures=1)
    prediction, reference = BROKEN[broken](predictions[0], references[0])
    with pytest.raises((ValueError, TypeError, AttributeError, KeyError)):
        load().compute(predictions=[prediction], references=[reference])


def test_the_example_and_the_card_run_as_written(load: Callable[..., evaluate.Metric]) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    parser = doctest.DocTestParser()
    card = (FILE.parent / "README.md").read_text(encoding="utf-8")
    for name, text in (
        ("example", aesbench._KWARGS_DESCRIPTION),
        ("card", card),
        ("reader", read_choice.__doc__ or ""),
    ):
        examples = parser.get_doctest(
            text.replace("```", ""), {"evaluate": evaluate, **vars(aesbench)}, name, None, None
        )
        assert examples.examples
        runner.run(examples)
    assert runner.failures == 0


def test_compute_takes_what_it_names(load: Callable[..., evaluate.Metric]) -> None:
    function = ast.parse(FILE.read_text(encoding="utf-8"))
    compute = next(n for n in ast.walk(function) if isinstance(n, ast.FunctionDef) and n.name == "_compute")
    assert [argument.arg for argument in compute.args.args] == ["self", "predictions", "references"]
    assert compute.args.kwarg is None and compute.args.vararg is None


# The file and its card.


def test_imports_nothing_but_the_standard_library_and_what_loads_it() -> None:
    imported = set()
    for node in ast.walk(ast.parse(FILE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module
            imported.add(node.module)
    others = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    assert others == {"datasets", "evaluate"}


def test_the_functions_work_without_evaluate(root: Path) -> None:
    program = """
import sys
sys.modules["evaluate"] = None
from aesexpert.metrics.aesbench import aesbench, aesbench_scores, grade_choices, read_choice
assert not hasattr(aesbench, "AesBench")
assert read_choice("(B) No", ["Yes", "No"]) == 1
print(aesbench_scores(["yes"], [dict(answer="Yes", options=["Yes", "No"], dimension="", question_type="", source="")],
                      "empathy"))
"""
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert ast.literal_eval(done.stdout) == {"empathy": 1.0, "empathy/n": 1, "empathy/unparsed": 0}


def test_the_package_gives_the_functions() -> None:
    assert package.__all__ == ["CONFIGS", "Choice", "aesbench_scores", "grade_choices", "read_choice"]
    assert all(getattr(package, name) is getattr(aesbench, name) for name in package.__all__)


def test_the_cards_values_are_the_papers(root: Path) -> None:
    with (root / "src/aesexpert/bench/paper_table3.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        columns = ("model", "perception", "empathy", "assessment", "interpretation", "overall")
        paper = [[row[column] for column in columns] for row in rows]
    card = (FILE.parent / "README.md").read_text(encoding="utf-8")
    table = card.split("### Published values")[1].split("## Limitations")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines] == paper


def test_the_cards_header_is_that_of_a_space() -> None:
    header = yaml.safe_load((FILE.parent / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert header["title"] == "AesBench" and header["sdk"] == "gradio"
    assert {"evaluate", "metric"} <= set(header["tags"])
