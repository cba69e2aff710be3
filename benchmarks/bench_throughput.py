"""How many answers a second a benchmark run gives: `python benchmarks/bench_throughput.py`.

Three ways to ask the same model the same questions, four about a picture: one question at a time, as evaluation kits
do it; in batches; and behind one copy of each picture, as `aesexpert bench run` does it. The weights are random, in
the shape of SmolLM2-135M (or `--language-model 360m`) behind a small CLIP tower that gives 576 tokens a picture;
questions and pictures are the demo's. Random weights never end an answer, so its length is set: 8 tokens for an
option, 64 for a description, about what trained models write. Where there is a GPU, the paper's 7B model is timed as
well, in bfloat16.

Each side runs twice: once to count what it computes, then to be timed. Needs `make install`, not the demo.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from aesexpert.bench.answering import write_answers
from aesexpert.bench.items import BenchItem, to_items
from aesexpert.bench.model import VisionLanguageModel
from aesexpert.bench.pictures import open_picture
from aesexpert.bench.runner import by_picture
from aesexpert.bench.sharing import PlainPrompts, Prompts, SharedPrompts, choose_prompts
from aesexpert.data.source import read_bench
from aesexpert.models import AesExpertConfig, AesExpertForConditionalGeneration
from aesexpert.models.conversations import Conversation, ask_about


ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "recipes" / "start"))

from smollm2 import load_tokenizer  # noqa: E402 (a module of the recipes)


CHOICE_TOKENS, DESCRIPTION_TOKENS = 8, 64
SIZES = {
    "135m": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9},
    "360m": {"hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 15},
}
TOWER = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6}


class Picture(NamedTuple):
    """A picture's questions, as records and as conversations."""

    items: list[BenchItem]
    questions: list[Conversation]


class Cost(NamedTuple):
    """What one way of asking computes: tokens that pass through the language model, and floating-point operations."""

    tokens: int
    flop: int


class Timed(NamedTuple):
    """What one way of asking takes and gives."""

    seconds: float
    answers: list[str]


Run = Callable[[], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language-model", choices=SIZES, default="135m", help="on the CPU (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=4, help="how many (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=4, help="pictures at a time (default: %(default)s)")
    args = parser.parse_args()
    pictures = read_pictures(args.pictures)
    report(small_model(args.language_model), pictures, args.batch_size)
    if torch.cuda.is_available():
        report(paper_model(), pictures, args.batch_size)
    else:
        print("no GPU here: the 7B model in bfloat16 was not timed")


def read_pictures(count: int) -> list[Picture]:
    """The first pictures of the demo that have all four questions."""
    asked = by_picture(to_items(read_bench(ROOT / "dataset_scripts" / "demo" / "bench.jsonl")))
    pictures = [items for items in asked if len(items) == 4][:count]
    return [Picture(items, conversations(items)) for items in pictures]


def conversations(items: Sequence[BenchItem]) -> list[Conversation]:
    """The questions about one picture."""
    picture = open_picture(items[0].picture, items[0].image_id)
    return [ask_about(picture, item.prompt) for item in items]


def small_model(size: str) -> VisionLanguageModel:
    """A Llava of a small shape with random weights, on the CPU in float32."""
    processor = build_processor()
    text_config = LlamaConfig(
        **SIZES[size],
        num_key_value_heads=SIZES[size]["num_attention_heads"] // 3,
        vocab_size=len(processor.tokenizer),
        tie_word_embeddings=True,
    )
    vision_config = CLIPVisionConfig(**TOWER, image_size=336, patch_size=14)
    config = AesExpertConfig(vision_config=vision_config, text_config=text_config, image_seq_length=576)
    config.image_token_id = processor.image_token_id
    torch.manual_seed(0)
    return ready(AesExpertForConditionalGeneration(config), processor)


def paper_model() -> VisionLanguageModel:
    """AesExpert L-7B with random weights, on the GPU in bfloat16."""
    processor = build_processor()
    config = AesExpertConfig.aesexpert_7b()
    config.text_config.vocab_size = -(-len(processor.tokenizer) // 64) * 64
    config.image_token_id = processor.image_token_id
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = AesExpertForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
    return ready(model, processor)


def build_processor() -> LlavaProcessor:
    """Pictures as in the paper, texts in the tokens of SmolLM2."""
    tokenizer: PreTrainedTokenizerBase = load_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    image_processor = CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    return LlavaProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(ROOT / "recipes" / "start" / "chat_template.jinja").read_text(),
    )


def ready(model: PreTrainedModel, processor: LlavaProcessor) -> VisionLanguageModel:
    """A model that decodes greedily."""
    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return VisionLanguageModel(model.eval(), processor)


def report(model: VisionLanguageModel, pictures: Sequence[Picture], batch_size: int) -> None:
    """Measures all sides and prints them as a table."""
    language_model = model.model.model.language_model.num_parameters() / 1e6
    print(f"language model of {language_model:.0f}M parameters, {model.model.dtype}, {model.model.device}, ", end="")
    print(f"{torch.get_num_threads()} threads; {len(pictures)} pictures, {batch_size} at a time, 4 questions each;")
    print(f"answers of {CHOICE_TOKENS} tokens to choices, {DESCRIPTION_TOKENS} to descriptions")
    if choose_prompts(model, pictures[0].questions) is not SharedPrompts:
        raise SystemExit("this model does not share pictures")
    batches = [pictures[start : start + batch_size] for start in range(0, len(pictures), batch_size)]
    singles = [Picture([item], [question]) for picture in pictures for item, question in zip(*picture, strict=True)]
    runs: dict[str, Run] = {
        "one at a time": partial(ask, model, PlainPrompts, [[single] for single in singles]),
        "plain batches": partial(ask, model, PlainPrompts, batches),
        "shared prefix": partial(ask, model, SharedPrompts, batches),
    }
    costs = {name: count(model, run) for name, run in runs.items()}
    print("counted, now timing\n", flush=True)
    times = {name: measure(run) for name, run in runs.items()}
    print("| | answers/s | times | tokens computed | times fewer | TFLOP | times fewer | same answers |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    first = next(iter(runs))
    for name in runs:
        (seconds, answers), (tokens, flop) = times[name], costs[name]
        same = sum(map(str.__eq__, answers, times[first].answers))
        cells = [f"{len(answers) / seconds:.2f}", f"{times[first].seconds / seconds:.2f}"]
        cells += [f"{tokens}", f"{costs[first].tokens / tokens:.2f}"]
        cells += [f"{flop / 1e12:.2f}", f"{costs[first].flop / flop:.2f}", f"{same} of {len(answers)}"]
        print(f"| {name} | {' | '.join(cells)} |")
    print()


def ask(
    model: VisionLanguageModel,
    prompts_class: Callable[[VisionLanguageModel, Sequence[Sequence[Conversation]]], Prompts],
    batches: Sequence[Sequence[Picture]],
) -> list[str]:
    """Answers all questions, batch by batch, in the order of the questions."""
    answers: list[str] = []
    for batch in batches:
        prompts = prompts_class(model, [picture.questions for picture in batch])
        items = list(chain.from_iterable(picture.items for picture in batch))
        texts = [""] * len(items)
        for is_choice in (True, False):
            places = [i for i, item in enumerate(items) if bool(item.options) is is_choice]
            limit = CHOICE_TOKENS if is_choice else DESCRIPTION_TOKENS
            written = write_answers(model, prompts.inputs(places), limit, one_line=is_choice) if places else []
            for place, answer in zip(places, written, strict=True):
                texts[place] = answer.response
        answers += texts
    return answers


def count(model: VisionLanguageModel, run: Run) -> Cost:
    """Counts what a side computes; also warms up."""
    tokens = 0

    def add(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        nonlocal tokens
        tokens += kwargs["inputs_embeds"].shape[:2].numel()

    hook = model.model.model.language_model.register_forward_pre_hook(add, with_kwargs=True)
    with FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as counter:
        run()
    hook.remove()
    return Cost(tokens, counter.get_total_flops())


def measure(run: Run) -> Timed:
    """Times a side. It ends on texts: nothing is left to compute on a GPU."""
    start = time.perf_counter()
    answers = run()
    return Timed(time.perf_counter() - start, answers)


def _cpu_attention_flop(query: Any, key: Any, value: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


# the one kernel that the counter does not know
CPU_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention_flop}


if __name__ == "__main__":
    main()
