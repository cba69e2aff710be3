"""How much faster training on packed rows is than one instruction a sequence: `python benchmarks/sft_throughput.py`.

The same random weights and the same instructions twice: through TRL's own `SFTTrainer` and collator, one instruction a
sequence, and through this library's packed rows, K instructions behind one picture of 576 tokens. Each case runs in a
process of its own: one step counted (FLOP that PyTorch really executes, matrices and attention), one step timed, and
the highest memory above that before the steps. Prints instructions a second, tokens, FLOP and memory an instruction,
and their ratios. On a CPU the language model has 360 million parameters in float32; on a GPU the model is a LLaVA-1.5
7B in bfloat16, with flex_attention beside sdpa. Takes the tokenizer of `aesexpert-start/` (after `make demo`).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count
from transformers import (
    AutoProcessor,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    TrainerCallback,
)
from trl import SFTConfig, SFTTrainer

from aesexpert.data.conversations import to_prompt_completion
from aesexpert.models import AesExpertConfig
from aesexpert.train import AesExpertSFTConfig, AesExpertTrainer, SharedPrefixCollator, take_segments
from aesexpert.train.freezing import freeze_vision_tower


GPU = torch.cuda.is_available()
SIZE, PATCH = 336, 14  # the paper's pictures: 576 tokens
PROMPT_WORDS, RESPONSE_WORDS = 22, 26  # about 60 tokens an instruction, as AesMMIT's
ONE_BATCH = 8 if GPU else 2  # one instruction a sequence costs the same in a batch of any size
ATEN = torch.ops.aten
CPU_ATTENTION = {  # what PyTorch's counter does not know yet
    ATEN._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    ATEN._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, q, k, v, *_, **__: sdpa_backward_flop_count(grad, q, k, v)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--instructions", type=int, nargs="+", default=[4, 8, 19], metavar="K", help="behind a picture"
    )
    parser.add_argument("--case", nargs=3, metavar=("PATH", "K", "ATTENTION"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(measure(args.case[0], int(args.case[1]), args.case[2])))
        return
    one = _in_a_process("one", ONE_BATCH, "sdpa")
    print("| path | K | instructions/s | tokens | TFLOP | MiB | faster | fewer tokens | fewer FLOP | less memory |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    print(_row("one (TRL)", one, one))
    for attention in ("sdpa", "flex_attention") if GPU else ("sdpa",):
        for count in args.instructions:
            print(_row(f"shared, {attention}", _in_a_process("shared", count, attention), one), flush=True)
    print("\ntokens, TFLOP and MiB are for one instruction; MiB is what a step adds to weights and optimizer")


def _row(path: str, case: dict[str, float], one: dict[str, float]) -> str:
    values = ("tokens", "tflop", "mib")
    ratios = [case["rate"] / one["rate"], *(one[value] / case[value] for value in values)]
    cells = [f"{case['rate']:.3f}", f"{case['tokens']:.0f}", f"{case['tflop']:.2f}", f"{case['mib']:.0f}"]
    return f"| {path} | {case['count']:.0f} | {' | '.join([*cells, *(f'{ratio:.2f}' for ratio in ratios)])} |"


def _in_a_process(path: str, count: int, attention: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--case", path, str(count), attention]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.strip().split("\n")[-1])


def measure(path: str, count: int, attention: str) -> dict[str, float]:
    """One case: a counted step, then a timed one."""
    trainer = build(path, count, attention)
    steps = Steps()
    trainer.add_callback(steps)
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.train()
    return {
        "count": count,
        "rate": count / steps.seconds,
        "tokens": int(batch["attention_mask"].sum()) / count,
        "tflop": steps.flop / 1e12 / count,
        "mib": steps.added_memory / 2**20 / count,
    }


class Steps(TrainerCallback):
    """Counts the FLOP of the first step, times the second one, and sees how much memory they take."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start to count, or the clock."""
        if state.global_step == 0:
            self.before = _memory()
            self.counter = FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION)
            self.counter.__enter__()
        else:
            _wait()
            self.start = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop what was started."""
        if state.global_step == 1:
            self.counter.__exit__(None, None, None)
            self.flop = self.counter.get_total_flops()
        else:
            _wait()
            self.seconds = time.perf_counter() - self.start
            self.added_memory = _memory() - self.before


def _wait() -> None:
    if GPU:
        torch.cuda.synchronize()


def _memory() -> int:
    """The most memory so far, in bytes."""
    if GPU:
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def build(path: str, count: int, attention: str) -> SFTTrainer:
    """A trainer whose every batch is `count` instructions on one picture."""
    processor = _processor()
    model = _model(processor, attention)
    freeze_vision_tower(model)
    rows = Dataset.from_list([{"picture": 0, "number": number} for number in range(2 * count)])
    rows = rows.with_transform(lambda batch: {key: list(values) for key, values in _columns(batch["number"]).items()})
    shared: dict[str, Any] = {
        "output_dir": tempfile.mkdtemp(),
        "max_steps": 2,
        "per_device_train_batch_size": count,
        "learning_rate": 2e-5,
        "optim": "sgd",  # its time and memory are the same on both paths: leave them out
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": GPU,
        "use_cpu": not GPU,
        "max_length": None,
        "remove_unused_columns": False,
    }
    if path == "one":
        return SFTTrainer(model, SFTConfig(**shared), train_dataset=rows, processing_class=processor)
    trainer = AesExpertTrainer(
        model,
        AesExpertSFTConfig(**shared),
        data_collator=SharedPrefixCollator(processor),
        train_dataset=rows,
        processing_class=processor,
    )
    take_segments(trainer.model)
    return trainer


def _columns(numbers: list[int]) -> dict[str, list[Any]]:
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    conversations = [
        to_prompt_completion({"prompt": p, "response": r, "kind": "vqa"}) for p, r in map(_texts, numbers)
    ]
    return {
        "picture": [0] * len(numbers),
        "image": [Image.fromarray(pixels)] * len(numbers),
        **{side: [conversation[side] for conversation in conversations] for side in ("prompt", "completion")},
    }


def _texts(number: int) -> Iterator[str]:
    words = ["light", "colour", "picture", "the", "calm", "of", "a", "composition", "soft", "is", "focus", "how"]
    generator = np.random.default_rng(number)
    return (" ".join(generator.choice(words, length)) for length in (PROMPT_WORDS, RESPONSE_WORDS))


def _processor() -> LlavaProcessor:
    start = AutoProcessor.from_pretrained("aesexpert-start")
    return LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}),
        start.tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=start.chat_template,
    )


def _model(processor: LlavaProcessor, attention: str) -> LlavaForConditionalGeneration:
    """Random weights: a LLaVA-1.5 7B on a GPU, a small tower and SmolLM2-360M's shape on a CPU."""
    torch.manual_seed(0)
    image_token = processor.image_token_id
    if GPU:
        config: LlavaConfig = AesExpertConfig.aesexpert_7b(image_token_index=image_token)
        config.text_config.vocab_size = 50_000  # the tokenizer here is not Vicuna's, whose vocabulary is 32,064
    else:
        vision = CLIPVisionConfig(
            hidden_size=384,
            intermediate_size=1536,
            num_hidden_layers=12,
            num_attention_heads=6,
            image_size=SIZE,
            patch_size=PATCH,
        )
        text = LlamaConfig(
            vocab_size=len(processor.tokenizer),
            hidden_size=960,
            intermediate_size=2560,
            num_hidden_layers=32,
            num_attention_heads=15,
            num_key_value_heads=5,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
            pad_token_id=processor.tokenizer.pad_token_id,
        )
        config = LlavaConfig(
            vision_config=vision, text_config=text, image_token_index=image_token, tie_word_embeddings=True
        )
    config.text_config._attn_implementation = attention
    with torch.device("cuda" if GPU else "cpu"):
        torch.set_default_dtype(torch.bfloat16 if GPU else torch.float32)
        model = LlavaForConditionalGeneration(config)
        torch.set_default_dtype(torch.float32)
    return model


if __name__ == "__main__":
    main()
