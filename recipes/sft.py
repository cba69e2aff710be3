"""Tune a vision-language model on AesMMIT (stage 3 of the paper).

    accelerate launch recipes/sft.py                                        # the demo
    accelerate launch recipes/sft.py --config recipes/lora-7b.yaml
    accelerate launch recipes/sft.py --max_steps 10 --output_dir somewhere  # flags win over the recipe

Started again with the same command, a run goes on from its last checkpoint.
"""

import sys
from pathlib import Path


def main() -> None:
    from trl import ModelConfig, TrlParser

    from aesexpert.hub.errors import HubError
    from aesexpert.train import AesExpertSFTConfig, DataArguments, train

    arguments = sys.argv[1:]
    if "--config" not in arguments:
        arguments = ["--config", str(Path(__file__).with_name("demo.yaml")), *arguments]
    parser = TrlParser((DataArguments, AesExpertSFTConfig, ModelConfig), description=__doc__)
    try:
        data, training, model = parser.parse_args_and_config(arguments)
        metrics = train(data, training, model)
    except (ValueError, FileNotFoundError, HubError) as error:
        sys.exit(f"recipes/sft.py: error: {error}")
    print(f"trained {training.output_dir}: loss {metrics['train_loss']:.3f} in {metrics['train_runtime']:.0f} s")


if __name__ == "__main__":
    main()
