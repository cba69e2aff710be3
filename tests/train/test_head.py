"""The head on labelled positions against TRL's own and against plain formulas."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from trl import SFTTrainer

from aesexpert.train import build_trainer
from aesexpert.train.head import score_labelled_positions


class Toy(nn.Module):
    """Embeds tokens and projects them back: as much of a model as the head needs."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11)

    def forward(self, input_ids):
        return type("Output", (), {"logits": self.head(self.embedding(input_ids))})


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3), st.integers(2, 9), st.integers(0, 2**31))
def test_equals_the_plain_formulas(rows, length, seed):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = Toy()
    input_ids = torch.randint(0, 11, (rows, length), generator=generator)
    labels = input_ids.where(torch.rand(rows, length, generator=generator) < 0.5, -100)
    scores = score_labelled_positions(model, model.head, labels, input_ids=input_ids)
    logits = model(input_ids).logits[:, :-1]
    targets = labels[:, 1:]
    losses = nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none", ignore_index=-100)
    labelled = targets != -100
    torch.testing.assert_close(scores.log_probs.sum(), -losses.sum())
    assert scores.label_mask.sum() == labelled.sum()
    entropies = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(scores.entropy.sum(), (entropies * labelled).sum())
    assert scores.is_top1.sum() == ((logits.argmax(-1) == targets) & labelled).sum()


def test_loss_gradients_and_metrics_are_trls_own(recipe):
    ours = build_trainer(*recipe())
    theirs = build_trainer(*recipe())
    batch = ours.data_collator([ours.train_dataset[i] for i in range(4)])
    for trainer, compute_loss in ((ours, type(ours).compute_loss), (theirs, SFTTrainer.compute_loss)):
        trainer.model.train()
        compute_loss(trainer, trainer.model, dict(batch)).backward()
    expected = dict(theirs.model.named_parameters())
    for name, parameter in ours.model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-5, atol=1e-6)
    for key, values in theirs._metrics["train"].items():
        assert ours._metrics["train"][key] == pytest.approx(values, rel=1e-5), key
