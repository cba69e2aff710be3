"""Loss and learning-rate curves beside a trained model."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


CURVES = "training_curves.png"


class CurvesCallback(TrainerCallback):
    """Draws `training_curves.png` into the output folder at every save and at the end."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Draw what was logged so far."""
        if state.is_world_process_zero:
            draw_curves(state.log_history, Path(args.output_dir) / CURVES)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Draw the whole run."""
        if state.is_world_process_zero:
            draw_curves(state.log_history, Path(args.output_dir) / CURVES)


def draw_curves(log_history: list[dict[str, float]], file: Path) -> None:
    """
    Draw the loss (training and validation) and the learning rate over the steps.

    Args:
        log_history (`list[dict[str, float]]`): The Trainer's log: dictionaries with `step` and what was logged there.
        file (`Path`): The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    loss, rate = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for key, label, style in (("loss", "training", "-"), ("eval_loss", "validation pictures", "o--")):
        steps, values = _series(log_history, key)
        if steps:
            loss.plot(steps, values, style, label=label)
    loss.set_ylabel("response loss (nats a token)")
    loss.legend()
    rate.plot(*_series(log_history, "learning_rate"), color="tab:grey")
    rate.set_ylabel("learning rate")
    rate.set_xlabel("optimizer step")
    for axes in (loss, rate):
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def _series(log_history: list[dict[str, float]], key: str) -> tuple[list[float], list[float]]:
    entries = [entry for entry in log_history if key in entry]
    return [entry["step"] for entry in entries], [entry[key] for entry in entries]
