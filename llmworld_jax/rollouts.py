r"""A series continued: number after number, each from its complete law given what was chosen before.

.. math:: x_{T+k} \sim m(\cdot \mid x_1 \dots x_T,\, x_{T+1} \dots x_{T+k-1})

The prompt is read once; every path is a chain of tree nodes on its cache, and the digit tree of the next number
hangs on prompt and chain (``models.forward.tree_extend``). Keys and values of the chains lie in one buffer of fixed
size, so a rollout is one ``scan`` and one compile. Equal to re-running the model on the longer prompt at every step.
"""

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from .chains import Paths, begin, path_laws, read_number, steps_of
from .codec import NumberCodec
from .errors import InputError
from .laws import ROWS_PER_CHUNK, Levels
from .models.forward import forward
from .models.llama import Llama
from .models.mesh import jit_on_mesh
from .models.storage import Precision
from .multivariate import InterleavedCodec
from .numerals import Numerals
from .prompts import Prompt
from .tempering import Tempering, tempered

How = Literal["mean", "mode", "sample"]
_HOW = ("mean", "mode", "sample")


class Rollout(NamedTuple):
    """Paths, and the law that each of their numbers was chosen from.

    ``log_mass`` is the model's own law (no temperature) of the number given the path before it, normalised on the
    grid, and ``log_prob`` its value at the number chosen. ``off_grid`` is the probability that the model does not
    begin a number there (a lower bound of what ``number_laws`` adds up over all digits).
    """

    codes: Int[Array, "path step"]
    log_mass: Float[Array, "path step bin"]
    log_prob: Float[Array, "path step"]
    off_grid: Float[Array, "path step"]


def rollout(
    model: Llama,
    codec: NumberCodec | InterleavedCodec,
    prompt: Prompt,
    horizon: int,
    *,
    how: How | Sequence[How],
    key: Key[Array, ""] | Key[Array, " path"] | None = None,
    paths: int | None = None,
    temperature: float | Float[Array, ""] = 1.0,
    tempering: Tempering = "number",
    rows: int = ROWS_PER_CHUNK,
    precision: Precision = "highest",
) -> Rollout:
    """``horizon`` numbers more.

    Pure: works under ``jit`` and ``vmap`` (over prompts of one layout, over keys).

    Args:
        codec: of one series, or of interleaved channels: their numbers continue in reading order, so ``horizon``
            of them are ``horizon / num_channels`` rows. The prompt may end within a row: the rest of it comes first.
        prompt: from ``codec.prompt``, without forecast.
        how: ``"mean"``: the number nearest to the law's mean. ``"mode"``: that of most mass, the lowest of several.
            ``"sample"``: drawn from the law. One for all paths, or one for each.
        key: for samples: one, split into as many as there are paths, or one for each path. A path depends on its
            own key alone.
        paths: how many, 1 if left out; several of one ``how`` are samples.
        temperature: of the law that is drawn from, above 0; see ``tempering.tempered``.
        rows: tree nodes evaluated together; each reads its own path, so memory grows with ``rows * horizon``.
        precision: of every matrix product.

    Raises:
        InputError: an empty prompt, one with forecast, a horizon below 1, tokens beyond the model's positions, an
            unknown ``how`` or ``tempering``, samples without keys, a temperature that is not above 0, several paths
            that would be the same.
    """
    _check(prompt, temperature, tempering)
    for name, value in (("horizon", horizon), ("paths", 1 if paths is None else paths), ("rows", rows)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} {value!r}", "a whole number of at least 1", f"Choose another {name}")
    channels = codec.channels if isinstance(codec, InterleavedCodec) else (codec,)
    first = _first_channel(channels, len(prompt.tokens))
    separators = tuple(channels[(first + k) % len(channels)].separator_tokens for k in range(horizon))
    _check_room(model, len(prompt.tokens), channels[0].depth, separators)
    ways = _ways(how, paths)
    out = _rollout(
        model, jnp.asarray(prompt.tokens), _keys(ways, key), jnp.asarray([_HOW.index(w) for w in ways], jnp.int32),
        jnp.asarray(temperature), channels[0].levels, separators, tempering, rows, precision,
    )  # fmt: skip
    return Rollout(*(x.swapaxes(0, 1) for x in out))


def _check(prompt: Prompt, temperature, tempering: str) -> None:
    if tempering not in ("number", "digit"):
        raise InputError(f"tempering {tempering!r}", '"number" or "digit"', "Choose one of these")
    if not isinstance(temperature, jax.core.Tracer) and not 0 < float(temperature) < np.inf:
        raise InputError(f"temperature {temperature}", "a number above 0", 'Choose another, or how="mode"')
    if not len(prompt.tokens):
        expected = "at least one token to read the first law after"
        raise InputError("an empty prompt", expected, "Give a series, or a codec with a start token")
    at = prompt.item_at
    if not isinstance(at, jax.core.Tracer) and np.max(np.asarray(at), initial=0) >= len(prompt.tokens):
        raise InputError("a prompt with forecast", "one of numbers that are there", "Give it without forecast")


def _first_channel(channels: tuple[NumberCodec, ...], held: int) -> int:
    """Whose number follows ``held`` tokens: one series' own, whatever stands before it."""
    ends = np.cumsum([c.depth + len(c.separator_tokens) for c in channels])
    part = (held - len(channels[0].prefix_tokens)) % int(ends[-1])
    if len(channels) > 1 and part not in (0, *ends[:-1]):
        got = f"{held} tokens, which end {part} tokens into a row"
        raise InputError(got, "a prompt that ends with a separator", "Make it with codec.prompt")
    return int(np.sum(ends <= part))


def _check_room(model: Llama, held: int, depth: int, separators: Levels) -> None:
    """The last number is only predicted: its last digit and its separator are never read."""
    limit = model.config.max_positions
    ends = held + np.cumsum([depth + len(s) for s in separators]) - len(separators[-1]) - 1
    if ends[-1] > limit:
        fit = int(np.sum(held + np.cumsum([0, *(depth + len(s) for s in separators[:-1])]) + depth - 1 <= limit))
        raise InputError(
            f"{held} tokens and {len(separators)} numbers to come, {ends[-1]} tokens in all",
            f"at most {limit} tokens, the context of the model",
            f"{f'Lower the horizon to {fit}, shorten' if fit else 'Shorten'} the series, or choose a smaller precision "
            "or another model",
        )


def _ways(how: str | Sequence[str], paths: int | None) -> tuple[str, ...]:
    """How each path goes on."""
    ways = (how,) * (paths or 1) if isinstance(how, str) else tuple(how)
    if not ways or not set(ways) <= set(_HOW):
        raise InputError(f"how {how!r}", '"mean", "mode" or "sample"', "Choose one of these, or one for each path")
    if isinstance(how, str) and how != "sample" and len(ways) > 1:
        raise InputError(f'{paths} paths with how="{how}"', "one path: all would be the same", "Leave paths out")
    if paths not in (None, len(ways)):
        raise InputError(f"{paths} paths and {len(ways)} ways to go on", "one for each", "Leave paths out")
    return ways


def _keys(ways: tuple[str, ...], key) -> Key[Array, " path"]:
    paths = len(ways)
    if "sample" not in ways:
        return jax.random.split(jax.random.key(0), paths)
    if key is None:
        raise InputError("no key to sample with", "a key of jax.random.key", "Give key=jax.random.key(0)")
    if key.ndim == 0:
        return jax.random.split(key, paths)
    if key.shape != (paths,):
        raise InputError(f"keys of shape {key.shape} for {paths} paths", "one, or one for each path", "Change paths")
    return key


@functools.partial(jit_on_mesh, static_argnums=(5, 6, 7, 8, 9))
def _rollout(
    model: Llama,
    inputs: Int[Array, " position"],
    keys: Key[Array, " path"],
    how: Int[Array, " path"],
    temperature: Float[Array, ""],
    levels: Levels,
    separators: Levels,
    tempering: Tempering,
    rows: int,
    precision: Precision,
) -> tuple[Array, Array, Array, Array]:
    out = forward(model, inputs, precision=precision)
    steps, branch = steps_of(len(levels), separators), tuple(len(level) for level in levels)

    def step(state: Paths, k: Int[Array, ""]):
        log_mass, leak = path_laws(model, out.cache, state, steps, k, levels, rows, precision)
        soft = jax.vmap(lambda m: tempered(m, temperature, tempering, branch))(log_mass)
        code = _choose(log_mass, soft, how, jax.vmap(jax.random.fold_in, (0, None))(keys, k))
        log_prob = jnp.take_along_axis(log_mass, code[:, None], axis=-1)[:, 0]
        return read_number(model, out.cache, state, steps, k, levels, code, precision), (code, log_mass, log_prob, leak)

    return jax.lax.scan(step, begin(out, steps, len(keys)), jnp.arange(len(separators), dtype=jnp.int32))[1]


def _choose(
    log_mass: Float[Array, "path bin"],
    soft: Float[Array, "path bin"],
    how: Int[Array, " path"],
    keys: Key[Array, " path"],
) -> Int[Array, " path"]:
    """All three ways, so that they share a compile; next to the laws they cost nothing."""
    bins = log_mass.shape[-1]
    mean = jnp.exp(log_mass) @ jnp.arange(bins, dtype=log_mass.dtype)
    nearest = jnp.clip(jnp.floor(mean + 0.5), 0, bins - 1)  # bins are equal: the nearest centre in any range
    ways = nearest, jnp.argmax(log_mass, axis=-1), jax.vmap(jax.random.categorical)(keys, soft)
    return jnp.take_along_axis(jnp.stack([w.astype(jnp.int32) for w in ways]), how[None], axis=0)[0]


def dithered(key: Key[Array, ""], numerals: Numerals, codes: Int[Array | np.ndarray, "*shape"]) -> np.ndarray:
    """A value drawn evenly from the bin of each code; ``numerals.decode`` gives the centres."""
    u = np.asarray(jax.random.uniform(key, codes.shape), np.float64)
    return numerals.low + (np.asarray(codes) + u) * numerals.bin_width


def quantile_bands(
    paths: Float[Array | np.ndarray, "path step"] | Int[Array | np.ndarray, "path step"], levels: Sequence[float]
) -> Float[np.ndarray, "level step"]:
    """Quantiles of the paths at every step, of values or of codes (which lie apart by whole bins).

    Raises InputError for a level outside [0, 1].
    """
    if not all(0 <= level <= 1 for level in levels):
        raise InputError(f"quantile levels {tuple(levels)}", "numbers in [0, 1]", "Choose others")
    return np.quantile(np.asarray(paths, np.float64), np.asarray(levels), axis=0)


def marginal_laws(log_mass: Float[Array, "path step bin"]) -> Float[Array, "step bin"]:
    r"""Law of every step whatever the ones before it: the mean of the paths' laws, not a count of their numbers.

    .. math:: m(x_{T+k}) \approx \frac1P \sum_p m(x_{T+k} \mid \text{path } p)

    Exact at the first step. Its variance is never above that of the histogram of the paths' numbers (Rao-Blackwell).
    Paths must be samples; give their tempered laws where they were drawn at a temperature.
    """
    return jax.nn.logsumexp(log_mass, axis=0) - jnp.log(len(log_mass)).astype(log_mass.dtype)
