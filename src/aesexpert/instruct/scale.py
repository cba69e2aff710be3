"""Generation on many machines: `aesexpert generate --shard` as a step of a datatrove pipeline."""

from collections.abc import Iterable
from typing import Any

from aesexpert.data.source import read_feedback
from aesexpert.instruct.asking import Prompts
from aesexpert.llm import Request
from aesexpert.llm.scale import AskShard


class GenerateShard(AskShard):
    """Asks for the pairs of a shard of the pictures; `aesexpert generate --merge` joins the shards.

    Args:
        source (`str`): The source folder, which all machines see.
        folder (`str`): The generation's folder, which all machines see.
        base_url (`str`, *optional*): The server.
        model (`str`): The model.
        ranks (`int`): How many ranks run at a time.
        pairs (`int`, *optional*, defaults to 10): Pairs a picture.
        prompts (`str`, *optional*): A folder with prompts in place of the library's own.
        limits (`Any`): `concurrency`, `requests_per_minute` and `tokens_per_minute` of `AskShard`.

    Example:

    ```python
    >>> step = GenerateShard("my-source", "generated", None, "gpt-4o", ranks=8)
    >>> SlurmPipelineExecutor([step], tasks=32, workers=8, time="12:00:00", partition="cpu", logging_dir="logs").run()
    ```
    """

    name = "AesVQA"

    def __init__(
        self,
        source: str,
        folder: str,
        base_url: str | None,
        model: str,
        ranks: int,
        pairs: int = 10,
        prompts: str | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(folder, base_url, model, ranks, **limits)
        self.source, self.pairs, self.prompts = str(source), pairs, prompts

    def requests(self) -> Iterable[Request]:
        """The requests of all pictures with critiques."""
        return Prompts(self.prompts).requests(read_feedback(self.source), self.pairs)
