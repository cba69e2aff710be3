"""Where the templates of the cards lie."""

from pathlib import Path


_FOLDER = Path(__file__).with_name("model_cards")

DATASET_CARD, MODEL_CARD = _FOLDER / "dataset_card.md", _FOLDER / "model_card.md"
