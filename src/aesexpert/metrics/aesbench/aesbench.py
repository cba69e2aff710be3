"""Scores for AesBench, the expert benchmark of image aesthetics perception.

The functions that read and score answers need nothing but the standard library. The module that
`evaluate.load("aesbench")` finds stands at the end.
"""

import re
import statistics
import string
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple


try:
    import datasets
    import evaluate
except ImportError:  # only `evaluate.load` needs them, the functions do not
    evaluate = None


_DESCRIPTION = """\
AesBench asks four things about a picture. Perception (AesP), empathy (AesE) and assessment (AesA) are answered by
choosing an option and scored by accuracy; interpretation (AesI) is answered in prose, which a judge scores from 0 to 2
for relevance, precision and completeness. The overall score is the mean of the four. An answer that names no option,
or more than one, counts as wrong.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list`): For `default`, records of the answers `perception`, `empathy` and `assessment` (`str`) and of
        `interpretation`, a record of the judged `relevance`, `precision` and `completeness` (`float` from 0 to 2, or
        `None` where the answer was not judged). For a task's configuration, what belongs to the task alone.
    references (`list`): For `default`, records of the picture's `source` and of `perception`, `empathy` and
        `assessment`, each a record of `answer` (the right option's text), `options` (their texts), `dimension` and
        `question_type`; for one of these, the four and `source` in one record; for `interpretation`, records of
        `source`. Every key is required, `""` where there is no value. A question whose `answer` is `""` is not
        counted; where a picture lacks a task altogether, its `options` are `[]` as well.
Returns:
    `dict`: Fractions such as `perception`, `perception/dimension/color_and_light`, `perception/source/AGI` and
    `perception/question_type/why`; the mean judgements `interpretation`, `interpretation/precision` and so on, up to
    2; `overall`; the number of questions behind a score (`perception/n`), of answers that could not be read
    (`perception/unparsed`) and of answers not judged (`interpretation/unjudged`). `None` where nothing was scored.
Examples:

    >>> aesbench = evaluate.load("aesbench", "assessment")
    >>> reference = {"answer": "High", "options": ["High", "Medium", "Low"], "dimension": "", "question_type": ""}
    >>> references = [{**reference, "source": "NI"}, {**reference, "source": "AGI"}]
    >>> scores = aesbench.compute(predictions=["A) High", "Medium or low"], references=references)
    >>> scores["assessment"], scores["assessment/source/NI"], scores["assessment/unparsed"]
    (0.5, 1.0, 1)
"""

_CITATION = """\
@article{huang2024aesbench,
  title={AesBench: An Expert Benchmark for Multimodal Large Language Models on Image Aesthetics Perception},
  author={Huang, Yipo and Yuan, Quan and Sheng, Xiangfei and Yang, Zhichao and Wu, Haoning and Chen, Pengfei and Yang,
          Yuzhe and Li, Leida and Lin, Weisi},
  journal={arXiv preprint arXiv:2401.08276}, year={2024}
}
"""

CHOICE_TASKS = ("perception", "empathy", "assessment")
TASKS = (*CHOICE_TASKS, "interpretation")
CONFIGS = ("default", *TASKS)
"""The configurations: all tasks together, or one alone."""

BREAKDOWNS = ("dimension", "source", "question_type")
CRITERIA = ("relevance", "precision", "completeness")

Keys = tuple[str, ...]
Record = Mapping[str, Any]
Scores = dict[str, float | int | None]


class Choice(NamedTuple):
    """What an answer to a question with options came to.

    Args:
        chosen (`int`, *optional*): The index of the option chosen, none if the answer could not be read.
        correct (`bool`): Whether it is the right one.
    """

    chosen: int | None
    correct: bool


def read_choice(response: str, options: Sequence[str]) -> int | None:
    """Finds the option that an answer chooses.

    The answer is freed of markup and of a reasoning model's thoughts. Then three rules are tried in order, and the
    first that finds options named decides. It has to find exactly one.

    1. The first line opens with an option (its letter, its text or both, also after words such as "The answer is"), or
       a later line is nothing but an option. Several such lines repeat the question and are passed over.
    2. The text says which option it chooses: "..., so the answer is B". Rule 1 must not contradict it.
    3. The text mentions an option: "(B)", "option B", or an option's text of three letters or more, except "yes".

    Unreadable are a letter with another option's text, a letter beyond the options, and a denied option ("not B"). "A"
    and "I" before other words are English words. Where one option's text contains another's, the longest wins. Where
    the options are letters themselves, a letter alone has to mean the same option as a letter and as a text.

    Args:
        response (`str`): What the model said.
        options (`Sequence[str]`): The texts of the options, without their letters.

    Returns:
        `int`: The index of the option, or `None` if the answer is unreadable.

    Example:

    ```python
    >>> read_choice("B) Because the light is soft", ["Harsh light", "Soft light"])
    1
    ```
    """
    lines, known = _clean(response), _Options(options)
    named = next(filter(None, (rule(lines, known) for rule in _RULES)), {None})
    return named.pop() if len(named) == 1 else None


Named = set[int | None]
"""The indices of the options that a text names; `None` is among them if it names something that cannot be chosen."""


class _Found(NamedTuple):
    named: Named
    end: int


_QUOTES_AND_BRACKETS = str.maketrans(
    "\u201c\u201d\u201e\u2018\u2019\u3010\u3011\u300c\u300d\u3001\u3002", '"""\'\'()(),.', "\u200b\u2060\ufeff"
)
_THOUGHTS = re.compile(r"^.*</think(?:ing)?>|<think(?:ing)?>.*", re.DOTALL)
_TAGS = re.compile(r"</\w+>|<\w{2,}>|<\|\w+\|>")
_MARKUP = re.compile(r"\\[A-Za-z]+|[\\*`$]|(?<![^\W_])_+|_+(?![^\W_])|^[ \t]*[#>\u2022-]+(?=[ \t])", re.M)


def _clean(text: str) -> list[str]:
    """The lines of a text in plain characters, without markup, tags, LaTeX commands, thoughts and empty lines."""
    text = _THOUGHTS.sub("", unicodedata.normalize("NFKC", text)).translate(_QUOTES_AND_BRACKETS)
    lines = _MARKUP.sub("", _TAGS.sub("\n", text)).splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]


def _one_of(words: str) -> str:
    return rf"\b(?:{'|'.join(words.split())})(?![\w'])"


_EDGES = " \"'()[]{}.,:;!"
_MARKS = r"(?:[\s\"'()\[\]{}.,:;!]|-(?=\s))*"
_WORD_END = r"(?!\w|[-']\w)"
_LETTER = re.compile(rf"{_MARKS}([A-Za-z]){_WORD_END}")
_PRONOUN = re.compile(r"(?<=[Ii])(?:,(?!\s*[A-Z]\b)|\s+\w)")  # "I, as a language model", but not "I, B"
_IS_RIGHT = r"\s+(?:is|seems|would\s+be)\s+(?:the\s+|my\s+|most\s+)*(?:correct|right|best|suitable|answer|choice)\b"
# an answer ends with its sentence, or the sentence goes on as it does after an answer: "B because", not "A sunset"
_END = re.compile(
    r"\s*(?:$|[)\]}:;!\u2014]|[.,](?!\w)|[\"'](?!\w)|(?<=\s)[-\u2013]\s)"
    rf"|{_IS_RIGHT}|\s+{_one_of('because since as due based for over it this the there')}"
)
_LEAD_IN_WORDS = (  # what may stand before an answer
    "assistant response so thus therefore hence ok sure well probably maybe definitely in my opinion based on the this"
    " that image picture question correct right best final most suitable answer option choice letter it it's is was be"
    " would should for i i'd i'll we choose chose pick select say think believe guess go with"
)
_LEAD_IN = re.compile(rf"{_MARKS}{_one_of(_LEAD_IN_WORDS)}[\s:,;=\"']*(?:-\s+)?", re.I)
_GLUE = re.compile(rf"(?:{_MARKS}(?:[&/+]|{_one_of('and or nor vs also maybe even both option')}))*{_MARKS}", re.I)
_CUE = re.compile(  # after which an answer is stated
    r"\b(?:(?:answer|choice)\b(?:[^.,:;!?]*?\bis\b)?|(?:choose|chose|pick|select|go\s+with)\b)(?!\s*[.,;!])", re.I
)
_MENTION = re.compile(  # an option that a sentence speaks of
    r"\b[Oo]ption\s+[\"'(\[]*([A-Za-z])(?![\w'-])"  # option B
    r"|(?<!\w)[(\[{]([A-Za-z])[)\]}]"  # (B)
    r"|(?<![\w'(\[{-])([A-Z])\)"  # B)
    rf"|\b([A-Z])(?={_IS_RIGHT})"  # B is the right answer
)
_DENYING_WORDS = r"not never neither nor cannot without unable whether unlike lacks? rather\s+than instead\s+of"
_DENIAL = re.compile(rf"(?:{_one_of(_DENYING_WORDS)}|n't\b)[^.,:;!?]*$|\bno\s*$", re.I)  # before an option
_IS_DENIED = re.compile(  # what follows a denied option
    r"[)\]}\"':]*(?:\s*\?|\s+(?:is|was|can|could|does|would)(?:n't|\s*not)\b|\s+(?:is|was|seems)\s+(?:wrong|incorrect)\b)"
)


def _escaped(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, texts)) or "(?!)"


class _Options:
    """The options of a question, ready to be looked for."""

    def __init__(self, options: Sequence[str]) -> None:
        self.texts = [" ".join(_clean(option)).strip(_EDGES) for option in options]
        # the longest first: that is how the longest match wins
        texts = sorted(filter(None, set(self.texts)), key=len, reverse=True)
        self._at_place = re.compile(rf"{_MARKS}({_escaped(texts)}){_WORD_END}", re.I)
        # "yes", "no" and "a" are words like others within a sentence
        telling = [text for text in texts if len(text) > 2 and text.casefold() != "yes"]
        self.anywhere = re.compile(rf"(?<!\w)(?<!\w[-'])({_escaped(telling)}){_WORD_END}", re.I)

    def of_text(self, text: str) -> Named:
        """The options that have this text."""
        return {index for index, known in enumerate(self.texts) if known and known.casefold() == text.casefold()}

    def of_letter(self, letter: str) -> Named:
        """The option that has this letter."""
        index = string.ascii_uppercase.index(letter.upper())
        return {index if index < len(self.texts) else None}

    def found_at(self, line: str, start: int) -> _Found | None:
        """Finds an option at one place, by its text or its letter; the longer reading wins, both count if equal."""
        text, letter = self._text_at(line, start), self._letter_at(line, start)
        if text and letter and text.end == letter.end:
            return _Found(text.named | letter.named - {None}, text.end)
        return max((found for found in (text, letter) if found), key=lambda found: found.end, default=None)

    def _text_at(self, line: str, start: int) -> _Found | None:
        match = self._at_place.match(line, start)
        return _Found(self.of_text(match[1]), match.end()) if match and _END.match(line, match.end()) else None

    def _letter_at(self, line: str, start: int) -> _Found | None:
        match = _LETTER.match(line, start)
        if not match:
            return None
        named, text = self.of_letter(match[1]), self._at_place.match(line, match.end())
        if text and named <= self.of_text(text[1]):  # "B) Soft light"
            return _Found(named, text.end())
        if text and match[1].isupper() and not line[text.end() :].strip(_EDGES):  # "A Soft light"
            return _Found(named | self.of_text(text[1]), text.end())
        is_marked = _END.match(line, match.end()) and not _PRONOUN.match(line, match.end())
        return _Found(named, match.end()) if is_marked else None


def _opening(line: str, options: _Options, start: int = 0) -> Named:
    """What a line names at one place, or there after words that lead to an answer ("The answer is")."""
    for _ in range(20):  # words
        found = options.found_at(line, start)
        if found:
            return {None} if _IS_DENIED.match(line, found.end) else found.named | _listed(line, found.end, options)
        lead_in = _LEAD_IN.match(line, start)
        start = lead_in.end() if lead_in else len(line)
    return set()


def _listed(line: str, start: int, options: _Options) -> Named:
    """What a line names right after an option: "B) or C)"."""
    glue = _GLUE.match(line, start)
    found = options.found_at(line, glue.end()) if glue else None
    return found.named if found and not _IS_DENIED.match(line, found.end) else set()


def _whole(line: str, options: _Options) -> Named:
    """The option of which a line consists."""
    line = line.strip(_EDGES)
    found = options.found_at(line, 0)
    return found.named - {None} if found and found.end == len(line) else set()


def _named_by_lines(lines: list[str], options: _Options) -> Named:
    """Rule 1: the first line opens with the option, or a later line is nothing but the option."""
    named = _opening(lines[0], options) if lines else set()
    if len(named) > 1:
        return named
    named = named.union(*(_whole(line, options) for line in lines[1:]))
    return named | (_named_by_statement(lines, options) - {None}) if len(named) == 1 else set()


def _named_by_statement(lines: list[str], options: _Options) -> Named:
    """Rule 2: the text says which option it chooses."""
    return set().union(*(_opening(line, options, cue.end()) for line in lines for cue in _CUE.finditer(line)))


def _named_by_mention(lines: list[str], options: _Options) -> Named:
    """Rule 3: the text speaks of the option and of no other."""
    named: Named = set()
    for line in lines:
        for match in (*_MENTION.finditer(line), *options.anywhere.finditer(line)):
            name = match[match.lastindex or 0]
            mentioned = options.of_letter(name) if len(name) == 1 else options.of_text(name)
            is_denied = _DENIAL.search(line[: match.start()]) or _IS_DENIED.match(line, match.end())
            named |= {None} if is_denied else mentioned | _listed(line, match.end(), options)
    return named


_RULES: tuple[Callable[[list[str], _Options], Named], ...] = (_named_by_lines, _named_by_statement, _named_by_mention)


def grade_choices(predictions: Sequence[str], references: Sequence[Record]) -> list[Choice | None]:
    """Reads and grades the answers to one task's questions with options.

    Args:
        predictions (`Sequence[str]`): What the model said, one answer a question.
        references (`Sequence[Mapping[str, Any]]`): Records with `answer` (the text of the right option, `""` where
            there is none) and `options` (the texts).

    Returns:
        `list[Choice | None]`: The choices, `None` where a question has no right answer and so is not counted.

    Raises:
        `ValueError`: If the lengths differ, a key is missing or an answer is not among the options.
    """
    _check(predictions, references, (), ("answer", "options"))
    return [_grade(*pair, number) for number, pair in enumerate(zip(predictions, references, strict=True))]


def _grade(prediction: str, reference: Record, number: int) -> Choice | None:
    answer, options = reference["answer"], reference["options"]
    if not answer:
        return None
    if answer not in options:
        raise ValueError(f"`references[{number}]` has the answer {answer!r}, expected the text of one of {options}")
    chosen = read_choice(prediction, options)
    return Choice(chosen, chosen is not None and options[chosen] == answer)


def aesbench_scores(predictions: Sequence[Any], references: Sequence[Record], config_name: str = "default") -> Scores:
    """Scores answers to AesBench, without the `evaluate` library.

    Args:
        predictions (`Sequence`): What the model answered, in the form that the configuration takes: records of all
            four tasks, answers (`str`) to one choice task, or records of the three judged criteria.
        references (`Sequence[Mapping[str, Any]]`): What is right, in the form that the configuration takes. Further
            keys are ignored.
        config_name (`str`, *optional*, defaults to `"default"`): One of `CONFIGS`.

    Returns:
        `dict[str, float | int | None]`: The scores. A configuration of one task names them as `default` does, and has
        no `overall`. The keys depend on the references only: a label that occurs in them has its key, which is `None`
        with 0 questions where nothing was scored.

    Raises:
        `ValueError`: If the configuration is unknown, the lengths differ, a key is missing, an answer is not among its
            options or a judgement is not between 0 and 2.
    """
    _check_config(config_name)
    if config_name == "default":
        return _score_all(predictions, references)
    if config_name == "interpretation":
        return _score_judgements(predictions, references)
    return _score_choices(config_name, predictions, references)


def _score_all(predictions: Sequence[Record], references: Sequence[Record]) -> Scores:
    _check(predictions, references, TASKS, (*CHOICE_TASKS, "source"))
    scores: Scores = {}
    for task in CHOICE_TASKS:
        asked = [{**reference[task], "source": reference["source"]} for reference in references]
        scores |= _score_choices(task, [prediction[task] for prediction in predictions], asked)
    scores |= _score_judgements([prediction["interpretation"] for prediction in predictions], references)
    # AesI counts as a fraction of 1 although it reaches 2, as in the paper: 1.340 is 134.0 %
    parts = [scores[task] for task in TASKS]
    return {"overall": None if None in parts else _mean(parts)} | scores


def _score_choices(task: str, predictions: Sequence[str], references: Sequence[Record]) -> Scores:
    _check(predictions, references, (), BREAKDOWNS)
    choices = grade_choices(predictions, references)
    right = [None if choice is None else float(choice.correct) for choice in choices]
    scores = _average(task, right)
    scores[f"{task}/unparsed"] = sum(choice is not None and choice.chosen is None for choice in choices)
    for name in BREAKDOWNS:
        scores |= _break_down(f"{task}/{name}", [reference[name] for reference in references], right)
    return scores


def _score_judgements(judgements: Sequence[Record], references: Sequence[Record]) -> Scores:
    _check(judgements, references, CRITERIA, ("source",))
    complete = [_judged(judgement, number) for number, judgement in enumerate(judgements)]
    means = [_mean(judgement) for judgement in complete]
    scores = _average("interpretation", means)
    scores["interpretation/unjudged"] = means.count(None)
    for column, criterion in enumerate(CRITERIA):
        scores |= _average(f"interpretation/{criterion}", [row[column] if row else None for row in complete])
    return scores | _break_down("interpretation/source", [reference["source"] for reference in references], means)


def _judged(judgement: Record, number: int) -> list[float]:
    """The three judgements of an answer, or none of them if one is missing."""
    values = [judgement[criterion] for criterion in CRITERIA]
    for criterion, value in zip(CRITERIA, values, strict=True):
        if value is not None and not 0 <= value <= 2:
            expected = "expected a number from 0 to 2, or None where the answer was not judged"
            raise ValueError(f"`predictions[{number}]` has {value} for {criterion}, {expected}")
    return [] if None in values else values


def _average(key: str, values: Iterable[float | None]) -> Scores:
    """The mean of the values that there are, and their number."""
    known = [value for value in values if value is not None]
    return {key: _mean(known), f"{key}/n": len(known)}


def _break_down(key: str, labels: Sequence[str], values: Sequence[float | None]) -> Scores:
    """The mean for every label, which is written as a key: "color and light" becomes `color_and_light`."""
    names = [label if key.endswith("/source") else "_".join(label.lower().split()) for label in labels]
    scores: Scores = {}
    for name in sorted(filter(None, set(names))):
        scores |= _average(
            f"{key}/{name}", (value for other, value in zip(names, values, strict=True) if other == name)
        )
    return scores


def _mean(values: Sequence[Any]) -> float | None:
    return statistics.fmean(values) if values else None


def _check_config(config_name: str) -> None:
    if config_name not in CONFIGS:
        raise ValueError(f"`config_name` is {config_name!r}, expected one of {', '.join(CONFIGS)}")


def _check(predictions: Sequence[Any], references: Sequence[Any], predicted: Keys, required: Keys) -> None:
    """Refuses records that do not pair up or lack keys."""
    if len(predictions) != len(references):
        raise ValueError(f"got {len(predictions)} `predictions` for {len(references)} `references`")
    for name, records, keys in (("predictions", predictions, predicted), ("references", references, required)):
        for number, record in enumerate(records):
            if missing := [key for key in keys if key not in record]:
                raise ValueError(f"`{name}[{number}]` lacks {', '.join(missing)}")


if evaluate is not None:

    @evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
    class AesBench(evaluate.Metric):
        def _info(self) -> "evaluate.MetricInfo":
            _check_config(self.config_name)
            return evaluate.MetricInfo(
                description=_DESCRIPTION,
                citation=_CITATION,
                inputs_description=_KWARGS_DESCRIPTION,
                features=_features(self.config_name),
                reference_urls=["https://arxiv.org/abs/2401.08276", "https://arxiv.org/abs/2404.09624"],
            )

        def _compute(self, predictions: list[Any], references: list[Record]) -> Scores:
            return aesbench_scores(predictions, references, self.config_name)

    def _features(config_name: str) -> "datasets.Features":
        text, judgements = datasets.Value("string"), dict.fromkeys(CRITERIA, datasets.Value("float64"))
        question = {"answer": text, "options": datasets.List(text), "dimension": text, "question_type": text}
        predictions: Any = text
        references: Any = {**question, "source": text}
        if config_name == "default":
            predictions = {**dict.fromkeys(CHOICE_TASKS, text), "interpretation": judgements}
            references = {**dict.fromkeys(CHOICE_TASKS, question), "source": text}
        elif config_name == "interpretation":
            predictions, references = judgements, {"source": text}
        return datasets.Features(predictions=predictions, references=references)
