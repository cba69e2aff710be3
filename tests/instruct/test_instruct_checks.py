"""What a generated pair has to pass."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aesexpert.instruct.checks import Pair, Rejection, check_pairs, surplus_yes_no
from aesexpert.instruct.schema import GeneratedPair
from aesexpert.instruct.words import content_words, similarity, support


CRITIQUES = ["The soft light glows on the red coat.", "A blurred green background makes the animal stand out."]


def pair(**changes: object) -> GeneratedPair:
    fields = {
        "question": "What makes the animal stand out?",
        "answer": "The blurred green background",
        "alternatives": ["A plain dark studio wall", "A wide ring of flowers", "A beam of blue light"],
        "question_type": "what",
        "dimension": "attribute",
    }
    return GeneratedPair.model_validate({**fields, **changes})


def reason(**changes: object) -> Rejection | None:
    taken, rejected = check_pairs("a", [pair(**changes)], CRITIQUES)
    assert len(taken) + len(rejected) == 1
    return rejected[0].reason if rejected else None


def test_a_good_pair_is_taken_with_its_options_and_support() -> None:
    (taken,), rejected = check_pairs("a", [pair()], CRITIQUES)
    assert not rejected
    assert set(taken.options) == {taken.answer, *pair().alternatives}
    assert taken.support == 1.0
    assert not taken.is_flagged
    open_ended, choice = taken.rows()
    assert (open_ended["format"], open_ended["options"]) == ("open-ended", [])
    assert (choice["format"], choice["options"]) == ("multiple-choice", list(taken.options))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"question": " "}, Rejection.NO_QUESTION),
        ({"question": "What " * 100}, Rejection.NO_QUESTION),
        ({"answer": ""}, Rejection.NO_ANSWER),
        ({"question": "What does the critique say of the coat?"}, Rejection.ABOUT_THE_TEXTS),
        ({"question": "What do the comments praise?"}, Rejection.ABOUT_THE_TEXTS),
        ({"answer": "What the reviewer calls soft light"}, Rejection.ABOUT_THE_TEXTS),
        ({"question": "Is the light soft?", "question_type": "yes-no", "answer": "Soft"}, Rejection.YES_NO),
        ({"alternatives": ["A plain dark studio wall"]}, Rejection.ALTERNATIVES),
        ({"alternatives": []}, Rejection.ALTERNATIVES),
        ({"alternatives": ["A wall of stones here", "a wall of stones, here!", "Something else again"]}, "distinct"),
        ({"alternatives": ["the Blurred green background.", "A plain wall in the dark"]}, "distinct"),
        ({"alternatives": ["A wall", "x" * 70, "A ring of bright flowers"]}, Rejection.LENGTHS),
    ],
)
def test_bad_pairs_are_rejected(changes: dict[str, object], expected: str) -> None:
    assert expected in str(reason(**changes))


def test_critical_words_are_no_critics() -> None:
    assert reason(question="What is critical to the mood and to commenting eyes?") is None


def test_the_wording_decides_the_type() -> None:
    (taken,), _ = check_pairs("a", [pair(question="Why does the animal stand out?")], CRITIQUES)
    assert taken.question_type == "why"
    (taken,), _ = check_pairs("a", [pair(question="Is the coat red?", answer="yes.")], CRITIQUES)
    assert (taken.question_type, taken.answer, set(taken.options)) == ("yes-no", "Yes", {"Yes", "No"})


def test_questions_that_ask_the_same_are_dropped() -> None:
    same = pair(question="What made the animal to stand out?")
    taken, rejected = check_pairs("a", [pair(), same, pair(question="How does the red coat look?")], CRITIQUES)
    assert [entry.reason for entry in rejected] == [Rejection.NEAR_DUPLICATE]
    assert len(taken) == 2


def test_support_is_what_the_critiques_have_of_the_answer() -> None:
    (half,), _ = check_pairs("a", [pair(answer="A glowing golden dragon in light")], CRITIQUES)
    assert half.support == 0.5
    (none,), _ = check_pairs("a", [pair(answer="Seven golden dragons dancing")], CRITIQUES)
    assert none.support == 0.0
    assert none.is_flagged
    taken, rejected = check_pairs("a", [pair(answer="Seven golden dragons dancing")], CRITIQUES, min_support=0.3)
    assert not taken
    assert rejected[0].reason == Rejection.SUPPORT


def test_labels_are_read_as_they_are_meant() -> None:
    read = pair(question_type="Yes/No", dimension="Context_Reasoning")
    assert (read.question_type, read.dimension) == ("yes-no", "context reasoning")


def test_the_right_letter_is_balanced_and_fixed() -> None:
    letters: Counter[int] = Counter()
    for number in range(2000):
        (taken,), _ = check_pairs(f"picture {number}", [pair()], CRITIQUES)
        letters[taken.options.index(taken.answer)] += 1
    assert set(letters) == {0, 1, 2, 3}
    assert all(425 < count < 575 for count in letters.values())
    assert check_pairs("a", [pair()], CRITIQUES) == check_pairs("a", [pair()], CRITIQUES)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["Yes", "No"])))
def test_yes_no_answers_are_balanced(answers: list[str]) -> None:
    named = [(f"{number:03}", answer) for number, answer in enumerate(answers)]
    left_out = surplus_yes_no(named)
    kept = Counter(answer for seed, answer in named if seed not in left_out)
    assert kept["Yes"] == kept["No"] == min(answers.count("Yes"), answers.count("No"))
    assert left_out == surplus_yes_no(named[::-1])


@settings(deadline=None)
@given(st.text(), st.lists(st.text(), max_size=4), st.text(), st.lists(st.text(), max_size=6))
def test_any_text_is_either_taken_or_rejected(
    question: str, critiques: list[str], answer: str, wrong: list[str]
) -> None:
    generated = pair(question=question, answer=answer, alternatives=wrong)
    taken, rejected = check_pairs("a", [generated], critiques)
    assert len(taken) + len(rejected) == 1
    for entry in taken:
        assert isinstance(entry, Pair)
        assert entry.answer in entry.options
        assert 0 <= entry.support <= 1


def test_words_are_compared_by_their_stems() -> None:
    assert content_words("The light is glowing softly") == {"light", "glow", "soft"}
    assert content_words("Lights glow, softness") == {"light", "glow", "soft"}
    assert similarity("What glows?", "What is glowing?") == 1.0
    assert similarity("Red coat", "Blue sky") == 0.0
    assert support("", []) == 1.0
