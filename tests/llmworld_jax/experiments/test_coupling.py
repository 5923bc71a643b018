"""What a second channel is worth: the surrogates, the arithmetic, and a partner that is a copy."""

import inspect

import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.experiments import coupling
from llmworld_jax.experiments.coupling import coupling_experiment, coupling_gain, surrogate
from llmworld_jax.models.catalogue import load
from llmworld_jax.multivariate import channel_laws, interleaved, separate
from llmworld_jax.numerals import rescaled

TIME = 12
SERIES = np.stack((np.sin(np.arange(TIME)), np.random.default_rng(1).normal(size=TIME)), axis=1)


def spectrum(values: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.rfft(values - values.mean()))


def test_surrogates_have_the_values_and_the_spectrum_but_no_tie() -> None:
    random = np.random.default_rng(0)
    slow = np.convolve(random.normal(size=420), np.ones(20), mode="valid")
    agree, tie = [], []
    for _ in range(20):
        other = surrogate(random, slow, "phase")
        np.testing.assert_array_equal(np.sort(other), np.sort(slow))
        agree.append(np.corrcoef(spectrum(other), spectrum(slow))[0, 1])
        tie.append(np.corrcoef(other, slow)[0, 1])
    assert np.mean(agree) > 0.9
    assert np.corrcoef(spectrum(random.permutation(slow)), spectrum(slow))[0, 1] < 0.5
    assert abs(np.mean(tie)) < 0.3
    moved = surrogate(random, slow, "shift")
    (by,) = [k for k in range(len(slow)) if (np.roll(slow, k) == moved).all()]
    assert len(slow) // 4 <= by <= 3 * len(slow) // 4


def test_gain_is_the_mean_of_what_both_have() -> None:
    separate_nll = np.array([[np.nan, np.nan], [3.0, 1.0], [5.0, 1.0]])
    joint = np.array([[np.nan, 9.0], [1.0, 2.0], [4.0, 4.0]])
    np.testing.assert_array_equal(coupling_gain(joint, separate_nll), [1.5, -2.0])
    np.testing.assert_array_equal(coupling_gain(joint, separate_nll, first=2), [1.0, -3.0])
    both = coupling_gain(np.stack((joint, joint + 1)), separate_nll[None])
    np.testing.assert_array_equal(both, [[1.5, -2.0], [0.5, -3.0]])


@pytest.mark.slow
def test_the_parts_are_laws_of_the_two_layouts(loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Surrogates that are the partner itself give what the partner gives."""
    found = coupling_experiment(loaded, SERIES, precision=1, surrogates=2, first=3, kind="shift")
    again = coupling_experiment(loaded, SERIES, precision=1, surrogates=2, first=3, kind="shift")
    np.testing.assert_array_equal(found.nll_surrogate, again.nll_surrogate)
    grids = [rescaled(v, 1) for v in SERIES.T]
    for make, nll in ((interleaved, found.nll_joint), (separate, found.nll_separate)):
        codec = make(loaded.tokenizer, grids)
        codes = codec.encode(SERIES)
        laws = channel_laws(loaded.model, codec, codes)
        own = np.take_along_axis(np.asarray(laws.log_mass), codes[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(nll, -own, atol=1e-5)
    np.testing.assert_allclose(found.gain, (found.nll_separate - found.nll_joint)[3:].mean(0), atol=1e-6)
    assert found.surrogate_gain.shape == (2, 2)
    assert np.isfinite(found.surrogate_gain).all()
    worse = (found.surrogate_gain >= found.gain).sum(0)
    np.testing.assert_allclose(found.p_value, (1 + worse) / 3)
    monkeypatch.setattr(coupling, "surrogate", lambda random, values, kind: values)
    same = coupling_experiment(loaded, SERIES, precision=1, surrogates=2, first=3)
    np.testing.assert_array_equal(same.nll_surrogate[1], same.nll_joint)
    np.testing.assert_array_equal(same.p_value, [1, 1])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"values": SERIES[:, :1]}, "at least two channels"),
        ({"values": SERIES[:, 0]}, "at least two channels"),
        ({"values": np.tile(SERIES, (30, 1))}, "1440 tokens in all"),
        ({"first": TIME}, "first 12"),
        ({"kind": "bootstrap"}, "kind 'bootstrap'"),
        ({"surrogates": 0}, "surrogates 0"),
        ({"between": "1"}, "separator '1'"),
    ],
)
def test_bad_input_is_refused_before_the_model_is_run(wrong: dict, said: str, loaded, monkeypatch) -> None:
    monkeypatch.setattr(coupling, "number_laws", None)
    monkeypatch.setattr(coupling, "channel_laws", None)
    with pytest.raises(InputError, match=said):
        inspect.unwrap(coupling_experiment)(loaded, **{"values": SERIES, "precision": 1} | wrong)


@pytest.mark.slow
@pytest.mark.model
def test_the_default_model_sees_a_copy() -> None:
    """Uniform noise and its copy: the copy is known once it is seen, the noise is not, surrogates are worth little."""
    noise = np.random.default_rng(0).uniform(size=40)
    found = coupling_experiment(load(), np.stack((noise, noise), axis=1), surrogates=2)
    assert found.gain[1] > 3
    assert found.gain[0] < 0.5
    assert (found.surrogate_gain < 0.5).all()
