"""What training the paper's models costs, computed from token counts: `python benchmarks/full_size_cost.py`.

Counts multiplications, needs no GPU. Assumptions, all printed: one instruction a sequence (as the original trainers
do it), 576 picture tokens, an average length of the texts, activation checkpointing (the forward pass is computed
twice), and a share of the GPUs' peak that such runs reach.
"""

import argparse

import torch

from aesexpert.models import AesExpertConfig, AesExpertForConditionalGeneration


INSTRUCTIONS = 409_000  # section 3.3 of the paper
PICTURE_TOKENS = 576  # section 4.1
TEXT_TOKENS = 75  # prompt and response together: 88K critiques of about 60 tokens and shorter question-answer pairs
PEAK = 312e12  # NVIDIA A100, bf16, FLOP a second
UTILISATION = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, default=8, help="as in the paper (default: %(default)s)")
    args = parser.parse_args()
    tokens = INSTRUCTIONS * (PICTURE_TOKENS + TEXT_TOKENS)
    print(f"{INSTRUCTIONS:,} instructions x ({PICTURE_TOKENS} + {TEXT_TOKENS}) tokens = {tokens / 1e6:.0f} million")
    print(f"{UTILISATION:.0%} of {PEAK / 1e12:.0f} TFLOP/s on each of {args.gpus} GPUs\n")
    print("| model | trained parameters | FLOP | GPU-hours | hours |\n|---|--:|--:|--:|--:|")
    for name, config in (("L-7B", AesExpertConfig.aesexpert_7b()), ("L-13B", AesExpertConfig.aesexpert_13b())):
        parameters = trained_parameters(config)
        flop = 2 * parameters * tokens * 4  # forward, forward again, and twice that backward
        hours = flop / (PEAK * UTILISATION) / 3600
        cells = (f"{parameters / 1e9:.2f} billion", f"{flop:.2g}", f"{hours:.0f}", f"{hours / args.gpus:.1f}")
        print(f"| AesExpert {name} | {' | '.join(cells)} |")


def trained_parameters(config: AesExpertConfig) -> int:
    """Parameters of projector, language model and head: what a token passes through in training."""
    with torch.device("meta"):
        model = AesExpertForConditionalGeneration(config)
    frozen = sum(p.numel() for p in model.model.vision_tower.parameters())
    return model.num_parameters() - frozen


if __name__ == "__main__":
    main()
