"""Queries after a shared past, against reading past and query as one series."""

import jax
import numpy as np
import pytest

from llmworld_jax.codec import number_codec
from llmworld_jax.errors import InputError
from llmworld_jax.laws import number_laws, with_forecast
from llmworld_jax.numerals import Numerals
from llmworld_jax.queries import query_laws

PAST = np.array([3, 17, 8, 8, 26])


@pytest.mark.parametrize(("base", "precision", "start"), [(3, 3, "none"), (10, 2, 1), (4, 1, 1)])
def test_a_query_is_the_series_that_ends_in_it(single_tokenizer, tiny_llama, base, precision, start):
    codec = number_codec(single_tokenizer, Numerals(precision, 0.0, 1.0, base=base), start=start)
    past = PAST % codec.numerals.num_bins
    model = tiny_llama(vocab_size=single_tokenizer.vocab_size)
    queries = np.array([1, codec.numerals.num_bins - 1, 2])
    got = query_laws(model, codec, past, queries)
    for row, query in zip(got, queries, strict=True):
        prompt = with_forecast(codec.prompt(np.append(past, query)))
        alone = number_laws(model, codec, prompt, off_grid="first").log_mass[-1]
        np.testing.assert_allclose(row, alone, atol=2e-5)
    assert np.abs(np.asarray(got[0] - got[1])).max() > 1e-3, "the queries are told apart"
    one_by_one = query_laws(model, codec, past, queries, rows=1)
    np.testing.assert_allclose(got, one_by_one, atol=2e-5)


def test_vmap_over_pasts_is_the_loop(single_tokenizer, tiny_llama):
    from llmworld_jax.queries import _query_laws

    codec = number_codec(single_tokenizer, Numerals(1, 0.0, 4.0, base=4))
    model = tiny_llama(vocab_size=single_tokenizer.vocab_size)
    pasts = np.array([[0, 1, 2], [3, 3, 0]])
    tokens = np.stack([codec.prompt(past).tokens for past in pasts])
    chains = codec.prompt(np.arange(4)).tokens.reshape(4, 2)
    together = jax.vmap(lambda t: _query_laws(model, t, chains, codec.levels, 512, "highest"))(tokens)
    for row, past in zip(together, pasts, strict=True):
        np.testing.assert_allclose(row, query_laws(model, codec, past, np.arange(4)), atol=2e-5)


def test_an_empty_past_is_refused(single_tokenizer, tiny_llama):
    codec = number_codec(single_tokenizer, Numerals(1, 0.0, 4.0, base=4))
    with pytest.raises(InputError, match="at least one code"):
        query_laws(tiny_llama(vocab_size=single_tokenizer.vocab_size), codec, np.array([], int), np.array([0]))
