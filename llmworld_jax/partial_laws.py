r"""The paper's mixed-resolution laws, at the price of their own nodes: only what Hierarchy-PDF refines is evaluated.

The prefixes of the true number are read from the plain forward pass; those that leave it (``refinement``) are hung
on the shared cache at the place where they leave it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .codec import NumberCodec
from .digit_tree import leaf_log_mass
from .errors import InputError
from .laws import ROWS_PER_CHUNK, Digits, Laws, Levels, OffGrid, map_chunks, read_digits
from .models.forward import Branches, KVCache, forward, tree_forward
from .models.llama import Llama
from .models.mesh import jit_on_mesh
from .models.storage import Precision
from .prompts import Prompt
from .refinement import Mode, Refinement, refinement


def partial_laws(
    model: Llama,
    codec: NumberCodec,
    prompt: Prompt,
    codes: Int[Array | np.ndarray, " time"],
    *,
    mode: Mode,
    refine_depth: int,
    embeddings: Float[Array, "position d_model"] | None = None,
    off_grid: OffGrid = "first",
    rows: int = ROWS_PER_CHUNK,
    remat: bool = False,
    precision: Precision = "highest",
) -> Laws:
    r"""Law of every number of ``prompt``, as fine as the paper's algorithm makes it around the true one.

    On the complete grid; the mass of a prefix that is not evaluated is spread evenly over the numbers below it:

    .. math:: P(d_k \mid d_1..d_{k-1}) = 1 / \text{base} \quad\text{where } d_1..d_{k-1} \text{ is not evaluated.}

    So summed over the cells of ``analyses.mixed_grid`` of the same mode and depth it is the complete law
    (``number_laws``) summed over them. Evaluates 31 prefixes a state at 3 digits, ``"neighbor"``, depth 2. The true
    number decides where the law is fine, so a distance on it is of an outcome-dependent coarsening.

    Pure: works under ``jit``, ``vmap`` (over prompts of one layout) and ``grad``.

    Args:
        codes: the true numbers, those of ``prompt``.
        mode: which first digits are refined: ``"all"``, or the true one's ``"neighbor"`` s.
        refine_depth: length of the longest prefixes evaluated off the true number, 0 .. precision - 1.
        off_grid: what leaks at the first digit, or (``"tree"``) at every prefix evaluated: lower bounds both.
        embeddings, rows, remat, precision: as ``number_laws``.

    Raises:
        InputError: a codec that does not write one token a digit, an unknown mode, a depth out of range, codes that
            are not the prompt's (seen where they are not traced), a prompt that ends before its last number.

    Source: Liu et al. 2024, arXiv 2402.00795, Hierarchy-PDF with ``mode`` and refinement depth.
    """
    _check(codec, prompt, codes, mode, refine_depth)
    inputs = jnp.asarray(prompt.tokens) if embeddings is None else embeddings
    shape = codec.numerals.base, refine_depth, mode
    log_mass, leak = _partial_laws(
        model, inputs, jnp.asarray(prompt.item_at), jnp.asarray(codes, jnp.int32),
        codec.levels, shape, off_grid, rows, remat, precision,
    )  # fmt: skip
    return Laws(codec.numerals.edges(), log_mass, leak)


def _check(codec: NumberCodec, prompt: Prompt, codes, mode: str, depth: int) -> None:
    base, places = codec.numerals.base, codec.numerals.precision
    if codec.branch != (base,) * places:
        got = f"a codec of {places} digits written in {codec.depth} tokens"
        raise InputError(got, "one token a digit", "Use number_laws, and analyses.mixed_grid as a view of it")
    if mode not in ("all", "neighbor"):
        raise InputError(f"mode {mode!r}", '"all" or "neighbor"', "Choose one of these")
    if isinstance(depth, bool) or not isinstance(depth, int) or not 0 <= depth < places:
        expected = f"a whole number 0..{places - 1} with {places} digits"
        raise InputError(f"refine_depth {depth!r}", expected, "Choose another depth")
    if np.shape(codes) != np.shape(prompt.item_at):
        got = f"codes of shape {np.shape(codes)} with {np.shape(prompt.item_at)} items in the prompt"
        raise InputError(got, "the code of every item", "Give the codes that the prompt was made of")
    if any(isinstance(x, jax.core.Tracer) for x in (codes, *prompt)):
        return
    tokens, digits = np.asarray(prompt.tokens), codec.numerals.digits(np.asarray(codes))
    at = np.asarray(prompt.item_at)[:, None] + np.arange(places)
    if at.max(initial=0) >= len(tokens):
        got = f"{len(tokens)} tokens with an item that ends at token {at.max()}"
        raise InputError(got, "a prompt with all its numbers", "Give it without forecast")
    wrong = (np.array(codec.levels)[np.arange(places), digits] != tokens[at]).any(axis=1)
    if wrong.any():
        first = int(np.argmax(wrong))
        got = f"code {int(np.asarray(codes)[first])} for item {first}, which the prompt writes otherwise"
        raise InputError(got, "the code of every item", "Give the codes that the prompt was made of")


@functools.partial(jit_on_mesh, static_argnums=(4, 5, 6, 7, 8, 9))
def _partial_laws(
    model: Llama,
    inputs: Array,
    item_at: Int[Array, " time"],
    codes: Int[Array, " time"],
    levels: Levels,
    shape: tuple[int, int, Mode],
    off_grid: OffGrid,
    rows: int,
    remat: bool,
    precision: Precision,
) -> tuple[Float[Array, "time bin"], Float[Array, " time"]]:
    base, places, whole = shape[0], len(levels), off_grid == "tree"
    out = forward(model, inputs, remat=remat, precision=precision)
    table = refinement(*shape)
    powers = jnp.asarray(base ** np.arange(places - 1, -1, -1), jnp.int32)
    digits = codes[:, None] // powers % base
    at = jnp.maximum(item_at[:, None] - 1 + jnp.arange(places, dtype=item_at.dtype), 0)
    path = tuple(
        read_digits(model, out.hidden[at[:, k]], level, whole=whole or k == 0, precision=precision)
        for k, level in enumerate(levels)
    )

    def expand(chunk: tuple[Array, Array, tuple[Digits, ...]]) -> tuple[Array, Array]:
        at, digits, path = chunk
        off_path, value = _off_path(model, out.cache, table, levels, at, digits, whole, remat, precision)
        true = jnp.cumsum(digits * powers, axis=1) // powers
        conditional = functools.partial(_conditionals, table, base, value, true)
        mass = conditional(tuple(p.law for p in path), tuple(o.law for o in off_path))
        legal = conditional(tuple(p.legal_law for p in path), tuple(o.legal_law for o in off_path))
        return mass, jax.nn.logsumexp(legal, axis=-1)

    if remat:
        expand = jax.checkpoint(expand)
    chunk = max(1, rows // max(1, table.level.size))
    log_mass, legal = map_chunks(expand, (item_at, digits, path), chunk)
    seen = item_at > 0
    leak = jnp.clip(-jnp.expm1(legal), 0.0, 1.0)
    return jnp.where(seen[:, None], log_mass, jnp.nan), jnp.where(seen, leak, jnp.nan)


def _off_path(
    model: Llama,
    cache: KVCache,
    table: Refinement,
    levels: Levels,
    item_at: Int[Array, " state"],
    digits: Int[Array, "state digit"],
    whole: bool,
    remat: bool,
    precision: Precision,
) -> tuple[tuple[Digits, ...], Int[Array, "state node"]]:
    """Next-digit laws of every node, level by level, and the nodes' values among the prefixes of their length.

    A node that leaves the grid (the neighbour of 0 or 9) has value -1: evaluated for nothing, never read.
    """
    states, nodes, base = item_at.shape[0], table.level.size, len(levels[0])
    if nodes == 0:
        return (), jnp.zeros((states, 0), jnp.int32)
    place = np.arange(1, table.rest.shape[1] + 1)
    moved = digits[:, table.departs - 1] + jnp.asarray(table.step)
    real = jnp.asarray(table.wraps) | ((moved >= 0) & (moved < base))
    own = jnp.where(place < table.departs[:, None], digits[:, None, : len(place)], jnp.asarray(table.rest))
    own = jnp.where(place == table.departs[:, None], (moved % base)[..., None], own)
    weight = np.where(place <= table.level[:, None], base ** np.maximum(table.level[:, None] - place, 0), 0)
    value = jnp.sum(own * jnp.asarray(weight, jnp.int32), axis=-1)
    tokens = jnp.asarray(levels, jnp.int32)[table.level - 1, own[:, np.arange(nodes), table.level - 1]]
    shift = nodes * jnp.arange(states, dtype=jnp.int32)[:, None, None]
    slots = table.ancestors.shape[1]
    branches = Branches(
        tokens=tokens.reshape(-1),
        positions=(item_at[:, None] + jnp.asarray(table.level - 1)).reshape(-1),
        visible=(item_at[:, None] + jnp.asarray(table.departs - 1)).reshape(-1),
        ancestors=(jnp.asarray(table.ancestors)[None] + shift).reshape(-1, slots),
        seen=jnp.tile(jnp.asarray(table.seen), (states, 1)),
    )
    hidden = tree_forward(model, cache, branches, remat=remat, precision=precision)
    ends = np.cumsum(np.bincount(table.level)[1:])
    by_level = jnp.split(hidden.reshape(states, nodes, -1), ends[:-1], axis=1)
    laws = tuple(
        read_digits(model, h, children, whole=whole, precision=precision)
        for h, children in zip(by_level, levels[1:], strict=False)
    )
    return laws, jnp.where(real, value, -1)


def _conditionals(
    table: Refinement,
    base: int,
    value: Int[Array, "state node"],
    true: Int[Array, "state digit"],
    path: tuple[Float[Array, "state child"], ...],
    off_path: tuple[Float[Array, "state _ child"], ...],
) -> Float[Array, "state bin"]:
    """Log mass of every number: evaluated laws in their places, even ones elsewhere, multiplied down the tree."""
    even = -float(np.log(base))
    each = jnp.arange(true.shape[0], dtype=jnp.int32)
    conditionals = []
    for length in range(1, len(path)):
        law = jnp.full((len(each), base**length, base), even, path[0].dtype)
        law = law.at[each, true[:, length - 1]].set(path[length])
        if length <= len(off_path):
            own = value[:, table.level == length]
            outside = jnp.where(own < 0, law.shape[1], own)  # a negative index would count from the end
            law = law.at[each[:, None], outside].set(off_path[length - 1], mode="drop")
        conditionals.append(law)
    return jax.vmap(leaf_log_mass)(path[0], tuple(conditionals))
