r"""Interventions on a forward pass as data: affine maps of one site of one block, at chosen positions.

An edit replaces the activation :math:`x_p` of position ``p`` by

.. math:: (1 - a_p)\,x_p + a_p\,\bigl(k \odot x_p - U^\top U x_p + v_p\bigr)

with strength ``a = at``, ``k = keep``, rows of ``U = basis`` orthonormal and ``v = value``. Adding a vector, setting,
projecting out, exchanging coordinates in a subspace, patching from another run and ablating or pinning a neuron or a
head are all of this form. Everything but the site's name is traced: sweeping layers, directions, strengths, neurons or
heads compiles once, and ``vmap`` and ``grad`` go through. The edits of one site of one block are applied in the order
given.
"""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from ..axes import require_sites
from ..errors import InputError


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("layer", "at", "keep", "basis", "value"),
    meta_fields=("site",),
)
@dataclass(frozen=True)
class Edit:
    """One intervention; see the module for the equation, and the functions below for the usual ones.

    Attributes:
        site: a name of ``axes.SITES``.
        layer: ``[]``, which block, 0 first.
        at: ``[position]`` or ``[]``, the strength at each position: 0 leaves it alone, 1 edits it.
        keep: ``[width]``, factor of every coordinate of the activation; or ``[layer, width]``, one row a block, and
            the edit is of every block, whatever ``layer`` says.
        basis: ``[rank, width]``, orthonormal rows that are projected out; none by default.
        value: ``[width]`` or ``[position, width]``, what is added.

    Leading axes may be added to every field for ``vmap``. An edit of a layer that the model does not have does
    nothing: the layer is traced, so it cannot be checked.

    Raises:
        InputError: an unknown site.
    """

    site: str
    layer: Array
    at: Array
    keep: Array
    basis: Array
    value: Array

    def __post_init__(self) -> None:
        require_sites((self.site,))


def add(site: str, layer: ArrayLike, vector: Array, at: ArrayLike = 1.0) -> Edit:
    """``x + vector``: steering. ``vector`` is ``[width]`` or ``[position, width]``; scale it for the dose."""
    return _edit(site, layer, at, jnp.ones(vector.shape[-1], vector.dtype), vector)


def set_to(site: str, layer: ArrayLike, vector: Array, at: ArrayLike = 1.0) -> Edit:
    """``vector`` in the place of ``x``; with one row a position this patches in the activations of another run."""
    return _edit(site, layer, at, jnp.zeros(vector.shape[-1], vector.dtype), vector)


def project_out(site: str, layer: ArrayLike, basis: Float[Array, "rank width"], at: ArrayLike = 1.0) -> Edit:
    """``x - (x basis^T) basis``: nothing of ``x`` is left in the span of the rows, made orthonormal here first."""
    rows = jnp.linalg.qr(basis.T)[0].T
    width = basis.shape[-1]
    return _edit(site, layer, at, jnp.ones(width, rows.dtype), jnp.zeros(width, rows.dtype), rows)


def swap(
    site: str,
    layer: ArrayLike,
    basis: Float[Array, "rank width"],
    vector: Float[Array, "*position width"],
    at: ArrayLike = 1.0,
) -> Edit:
    r""":math:`x + a\,V^\top V\,(\text{vector} - x)`: the coordinates of ``x`` in the span of ``V = basis`` become
    those of ``vector``; the rest of ``x`` stays. ``at`` is the dose ``a``.

    The rows of ``basis`` are orthonormal, or zero, which fills planes of several ranks up to one shape.

    Raises:
        InputError: other rows.
    """
    _require_orthonormal(basis)
    inside = jnp.matmul(jnp.matmul(vector, basis.T, precision="highest"), basis, precision="highest")
    return _edit(site, layer, at, jnp.ones(basis.shape[-1], basis.dtype), inside, basis)


def pin_neuron(layer: ArrayLike, neuron: ArrayLike, value: ArrayLike, d_mlp: int, at: ArrayLike = 1.0) -> Edit:
    """The gated activation of one neuron (``mlp_act``) set to ``value``; the neuron's index is traced."""
    chosen = jnp.arange(d_mlp) == neuron
    wanted = jnp.asarray(value)
    wide = jnp.promote_types(wanted.dtype, jnp.float32)
    return _edit("mlp_act", layer, at, 1 - chosen.astype(wide), chosen * wanted.astype(wide))


def ablate_neuron(layer: ArrayLike, neuron: ArrayLike, d_mlp: int, at: ArrayLike = 1.0) -> Edit:
    """One neuron of ``mlp_act`` set to zero."""
    return pin_neuron(layer, neuron, 0.0, d_mlp, at)


def ablate_head(layer: ArrayLike, head: ArrayLike, num_heads: int, head_dim: int, at: ArrayLike = 1.0) -> Edit:
    """The output of one attention head (its part of ``z``) set to zero; the head's index is traced."""
    other = jnp.arange(num_heads * head_dim) // head_dim != head
    return _edit("z", layer, at, other.astype(jnp.float32), jnp.zeros(other.shape, jnp.float32))


def silence_heads(silenced: Bool[Array, "layer head"], head_dim: int, at: ArrayLike = 1.0) -> Edit:
    """The outputs of many heads, in any blocks, set to zero: one edit, so that another choice compiles nothing."""
    keep = jnp.repeat(~silenced, head_dim, axis=1).astype(jnp.float32)
    none = jnp.zeros((0, keep.shape[-1]), keep.dtype)
    return Edit("z", jnp.asarray(-1, jnp.int32), jnp.asarray(at), keep, none, jnp.zeros(keep.shape[-1], keep.dtype))


def _require_orthonormal(basis: Array) -> None:
    if isinstance(basis, jax.core.Tracer):
        return
    rows = np.asarray(basis, np.float64)
    products = rows @ rows.T
    here = np.diag(products) > 0.5
    if not np.allclose(products, np.diag(here), atol=1e-2):  # rows in bfloat16 are as wrong as 8e-3
        raise InputError(
            f"a basis whose rows have products up to {np.abs(products - np.diag(here)).max():.3g} from orthonormal",
            "orthonormal rows, or zero rows to fill up",
            "Make them orthonormal (subspace_bases, or a QR decomposition)",
        )


def _edit(site: str, layer: ArrayLike, at: ArrayLike, keep: Array, value: Array, basis: Array | None = None) -> Edit:
    none = jnp.zeros((0, keep.shape[-1]), keep.dtype)
    return Edit(site, jnp.asarray(layer, jnp.int32), jnp.asarray(at), keep, none if basis is None else basis, value)


def apply_edits(
    x: Float[Array, "position width"], site: str, layer: Int[Array, ""], edits: tuple[Edit, ...]
) -> Float[Array, "position width"]:
    """``x`` after the edits of ``site`` in block ``layer``."""
    for edit in edits:
        if edit.site == site:
            x = _applied(x, layer, edit)
    return x


def _applied(x: Array, layer: Array, edit: Edit) -> Array:
    wide = jnp.promote_types(x.dtype, jnp.float32)
    old = x.astype(wide)
    everywhere = edit.keep.ndim == 2
    keep = edit.keep[layer] if everywhere else edit.keep
    new = old * keep.astype(wide) + edit.value.astype(wide)
    if edit.basis.shape[0]:
        basis = edit.basis.astype(wide)
        inside = jnp.matmul(old, basis.T, precision="highest")
        new = new - jnp.matmul(inside, basis, precision="highest")
    # Both ends are exact: strength 0 gives back x itself, strength 1 the edit itself.
    strength = jnp.reshape(edit.at.astype(wide) * (everywhere | (layer == edit.layer)), (-1, 1))
    return ((1 - strength) * old + strength * new).astype(x.dtype)
