"""Cards from templates in which every value has to be there."""

from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import CardData, RepoCard
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment


Card = TypeVar("Card", bound=RepoCard)


class CardError(ValueError):
    """A card that cannot be written: its template is wrong, or asks for a value that nobody gave."""


def render_card(card_class: type[Card], data: CardData, template: str | Path, **values: Any) -> Card:
    """Renders a card from a Jinja template.

    `from_template` of `huggingface_hub` leaves a gap where a value is missing, and runs what the template says. Here a
    missing value is an error, and a template can do nothing but write text.

    Args:
        card_class (`type[RepoCard]`): `ModelCard` or `DatasetCard`.
        data (`CardData`): The metadata; the template puts it between the lines of dashes as `card_data`.
        template (`str` or `Path`): The template's file.
        values (`dict[str, Any]`): What else the template can name.

    Returns:
        `RepoCard`: The card, its metadata parsed.

    Raises:
        `CardError`: If the template is missing, is no template, or names a value that is not there.
    """
    path = Path(template)
    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    try:
        text = environment.from_string(path.read_text(encoding="utf-8")).render(card_data=data.to_yaml(), **values)
    except TemplateSyntaxError as error:
        raise CardError(f"card template {path}, line {error.lineno}: {error.message}; correct it") from error
    except TemplateError as error:
        known = ", ".join(sorted(["card_data", *values]))
        raise CardError(f"card template {path}: {error.message}; the values there are: {known}") from error
    except (OSError, ValueError) as error:
        raise CardError(f"card template {path} cannot be read ({error}); name another file") from error
    try:
        return card_class(text)
    except Exception as error:  # YAML's own errors, and those of the card's classes
        raise CardError(f"card template {path}: its metadata is not valid ({error}); see its first lines") from error
