"""Going on from what a model has read, against reading everything anew."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from aesexpert.models.prefix import EncodedPrefix, encode_prefix
from tiny_models import tiny_text_config, tiny_tokenizer


TOKENS = st.integers(10, 300)


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    model = LlamaForCausalLM(tiny_text_config(tiny_tokenizer())).eval()
    model.generation_config.eos_token_id = None
    return model


def padded(rows: list[list[int]], side: str) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    fill = [[0] * (longest - len(row)) for row in rows]
    pairs = list(zip(rows, fill, strict=True))
    ids = [pad + row if side == "left" else row + pad for row, pad in pairs]
    masks = [
        [0] * len(pad) + [1] * len(row) if side == "left" else [1] * len(row) + [0] * len(pad) for row, pad in pairs
    ]
    return torch.tensor(ids), torch.tensor(masks)


def encode(model: LlamaForCausalLM, rows: list[list[int]]) -> EncodedPrefix:
    ids, mask = padded(rows, "left")
    return encode_prefix(model, {"input_ids": ids, "attention_mask": mask})


@torch.no_grad()
def log_probabilities(model: LlamaForCausalLM, tokens: list[int]) -> torch.Tensor:
    return model(torch.tensor([tokens])).logits[0].log_softmax(dim=-1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prefixes=st.lists(st.lists(TOKENS, min_size=1, max_size=9), min_size=1, max_size=3),
    continuations=st.lists(st.lists(TOKENS, min_size=1, max_size=5), min_size=1, max_size=5),
    side=st.sampled_from(["left", "right"]),
    data=st.data(),
)
def test_any_continuation_is_read_as_if_it_stood_behind_its_prefix(
    model: LlamaForCausalLM,
    prefixes: list[list[int]],
    continuations: list[list[int]],
    side: str,
    data: st.DataObject,
) -> None:
    prefix = encode(model, prefixes)
    owners = [data.draw(st.integers(0, len(prefixes) - 1)) for _ in continuations]
    ids, mask = padded(continuations, side)
    with torch.no_grad():
        logits = model(input_ids=ids, **prefix.continued(torch.tensor(owners), mask)).logits.log_softmax(dim=-1)
    for row, kept, owner, tokens in zip(logits, mask, owners, continuations, strict=True):
        expected = log_probabilities(model, prefixes[owner] + tokens)[len(prefixes[owner]) :]
        torch.testing.assert_close(row[kept.bool()], expected, rtol=1e-4, atol=1e-4)
    # what was gone on from is as it was
    assert prefix.cache.get_seq_length() == prefix.attention_mask.shape[1]
    assert len(prefix.cache.layers[0].keys) == len(prefixes)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=st.lists(
        st.tuples(
            st.lists(TOKENS, min_size=1, max_size=9),
            st.lists(st.lists(TOKENS, min_size=1, max_size=4), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_likelihoods_are_products_over_tokens(
    model: LlamaForCausalLM, groups: list[tuple[list[int], list[list[int]]]]
) -> None:
    prefix = encode(model, [tokens for tokens, _ in groups])
    for (tokens, options), found in zip(
        groups, prefix.log_likelihoods([options for _, options in groups]), strict=True
    ):
        expected = []
        for option in options:
            scores = log_probabilities(model, tokens + option)[len(tokens) - 1 : -1]
            expected.append(scores[range(len(option)), option].sum())
        torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_a_continuation_can_be_gone_on_from(model: LlamaForCausalLM) -> None:
    prefix = encode(model, [[11, 12, 13], [14, 15]])
    ids, mask = padded([[21, 22], [23]], "left")
    longer = encode_prefix(model, {"input_ids": ids, **prefix.continued(torch.tensor([1, 0]), mask)})
    (first, second) = longer.log_likelihoods([[[31, 32]], [[33, 34]]])
    for found, tokens in ((first, [14, 15, 21, 22, 31, 32]), (second, [11, 12, 13, 23, 33, 34])):
        scores = log_probabilities(model, tokens)[-3:-1]
        torch.testing.assert_close(found[0], scores[[0, 1], tokens[-2:]].sum(), rtol=1e-4, atol=1e-4)
