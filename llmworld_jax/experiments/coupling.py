"""Does the model see that two series belong together? What knowing the other channel is worth, in nats a number.

A gain over separate prompts alone says little: interleaving also changes the format and doubles the context. So the
same is measured with surrogate partners, which have the partner's values but no tie to the target.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from ..errors import InputError
from ..laws import number_laws
from ..models.catalogue import LoadedModel
from ..multivariate import InterleavedCodec, channel_laws, interleaved, separate
from ..numerals import Numerals, rescaled
from ..prompts import Prompt
from ..start import parse_start

SURROGATES = ("phase", "shift")
Surrogate = Literal["phase", "shift"]


class Coupling(NamedTuple):
    """Negative log-likelihoods (nats) of every number, and what follows; NaN where nothing precedes a number.

    ``nll_joint`` is given the rows before it and the channels before it in its own row, ``nll_separate`` its own
    channel alone, ``nll_surrogate`` as the first, with surrogates in the place of all other channels.
    """

    nll_joint: Float[np.ndarray, "time channel"]
    nll_separate: Float[np.ndarray, "time channel"]
    nll_surrogate: Float[np.ndarray, "surrogate time channel"]
    gain: Float[np.ndarray, " channel"]  #: of the true partner over separate prompts
    surrogate_gain: Float[np.ndarray, "surrogate channel"]  #: of surrogates over separate prompts
    p_value: Float[np.ndarray, " channel"]  #: (1 + surrogates that gain no less) / (1 + surrogates)


def coupling_gain(
    nll_joint: Float[np.ndarray, "*#series time channel"],
    nll_separate: Float[np.ndarray, "*#series time channel"],
    *,
    first: int = 0,
) -> Float[np.ndarray, "*#series channel"]:
    """Mean of nll_separate − nll_joint over the numbers from row ``first`` on that have both, in nats a number.

    One value for each series: resample these, not numbers, for an interval (``analyses.bootstrap_band``).
    """
    return np.nanmean((nll_separate - nll_joint)[..., first:, :], axis=-2)


def surrogate(
    random: np.random.Generator, values: Num[np.ndarray, " time"], kind: Surrogate
) -> Num[np.ndarray, " time"]:
    """The same values in another order, without tie to any other series.

    ``"phase"``: amplitude-adjusted Fourier transform surrogate (Theiler et al. 1992): nearly the same spectrum.
    ``"shift"``: moved along a circle by between a quarter and three quarters of its length. Keeps every dependence
    within the series but for one seam; a periodic partner stays predictable from a shifted one.
    """
    length = len(values)
    if kind == "shift":
        return np.roll(values, random.integers(length // 4, 3 * length // 4 + 1))
    rank = np.argsort(np.argsort(values, kind="stable"))
    normal = np.sort(random.normal(size=length))[rank]
    spectrum = np.fft.rfft(normal)
    turned = spectrum * np.exp(2j * np.pi * random.uniform(size=len(spectrum)))
    turned[0] = spectrum[0]
    shuffled = np.fft.irfft(turned, n=length)
    return np.sort(values)[np.argsort(np.argsort(shuffled))]


def coupling_experiment(
    loaded: LoadedModel,
    values: Float[np.ndarray, "time channel"],
    *,
    numerals: Sequence[Numerals] | None = None,
    precision: int = 2,
    kind: Surrogate = "phase",
    surrogates: int = 9,
    first: int = 10,
    seed: int = 0,
    within: str = ",",
    between: str = ";",
    start_token: str = "none",
) -> Coupling:
    """Gains of every channel from its true partners and from surrogates of them.

    Args:
        numerals: one for every channel; else each is rescaled by its own minimum and maximum.
        surrogates: sets of them; p-values are at least 1 / (1 + surrogates).
        first: rows before this one do not count for the gains.
        within, between: separators of the interleaved layout; separate prompts have ``within``.

    Raises:
        InputError: as ``interleaved`` and ``Numerals.encode``; fewer than two channels, a series that ends before
            ``first`` or does not fit the context, an unknown kind, no surrogates.
    """
    _check(values, kind, surrogates, first)
    grids = [rescaled(v, precision) for v in values.T] if numerals is None else numerals
    start = parse_start(start_token)
    rows = interleaved(loaded.tokenizer, grids, within=within, between=between, start=start)
    apart = separate(loaded.tokenizer, grids, separator=within, start=start)
    codes = rows.encode(values)
    held, limit = len(rows.prompt(codes).tokens), loaded.config.max_positions
    if held > limit:
        expected = f"at most {limit} tokens, the context of {loaded.provenance['id']}"
        raise InputError(f"{len(codes)} rows, {held} tokens in all", expected, "Shorten the series")
    channels, random = range(codes.shape[1]), np.random.default_rng(seed)
    single = channel_laws(loaded.model, apart, codes, off_grid="first")
    nll_separate = -np.take_along_axis(np.asarray(single.log_mass), codes[..., None], axis=-1)[..., 0]
    nll_joint = np.stack([_nll(loaded, rows, codes, c) for c in channels], axis=1)
    nll_surrogate = np.stack([
        np.stack([_nll(loaded, rows, _replaced(random, codes, c, kind), c) for c in channels], axis=1)
        for _ in range(surrogates)
    ])  # fmt: skip
    gain = coupling_gain(nll_joint, nll_separate, first=first)
    surrogate_gain = coupling_gain(nll_surrogate, nll_separate[None], first=first)
    p_value = (1 + np.sum(surrogate_gain >= gain, axis=0)) / (1 + surrogates)
    return Coupling(nll_joint, nll_separate, nll_surrogate, gain, surrogate_gain, p_value)


def _check(values: np.ndarray, kind: str, surrogates: int, first: int) -> None:
    if values.ndim != 2 or values.shape[1] < 2:
        expected = "[time, channel] with at least two channels"
        raise InputError(f"a series of shape {values.shape}", expected, "Put the channels in columns")
    if not 0 <= first < len(values):
        expected = f"a row of the series, 0..{len(values) - 1}"
        raise InputError(f"first {first}", expected, "Give a longer series, or a smaller first")
    if kind not in SURROGATES:
        raise InputError(f"kind {kind!r}", '"phase" or "shift"', "Choose one of these")
    if surrogates < 1:
        raise InputError(f"surrogates {surrogates}", "at least 1", "Choose more; 19 can give p = 0.05")


def _replaced(random: np.random.Generator, codes: Int[np.ndarray, "time channel"], keep: int, kind: Surrogate):
    """``codes`` with surrogates in the place of all channels but one."""
    columns = [c if i == keep else surrogate(random, c, kind) for i, c in enumerate(codes.T)]
    return np.stack(columns, axis=1)


def _nll(loaded: LoadedModel, codec: InterleavedCodec, codes: Int[np.ndarray, "time channel"], channel: int):
    """Of one channel's numbers; all calls share shapes, and so one compile."""
    prompt = codec.prompt(codes)
    own = Prompt(prompt.tokens, prompt.item_at[channel :: codec.num_channels])
    laws = number_laws(loaded.model, codec.channels[channel], own, off_grid="first")
    return -np.take_along_axis(np.asarray(laws.log_mass), codes[:, channel, None], axis=1)[:, 0]
