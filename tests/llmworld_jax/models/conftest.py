"""A plain Llama in numpy, whose activations can be edited by a callback: what the library is compared with.

llmworld_jax is imported inside the function, because jaxtyping's checker must be installed first.
"""

import numpy as np
import pytest

# No cache, no blocks of queries, complex numbers for the rotation.


def rms(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def turn(x: np.ndarray, positions: np.ndarray, theta: float) -> np.ndarray:
    half = x.shape[-1] // 2
    angle = positions[:, None] * theta ** (-np.arange(half) / half)
    z = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angle)[:, None]
    return np.concatenate((z.real, z.imag), axis=-1)


def attend(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Head by head; query head ``h`` reads key/value head ``h // group``."""
    group, out = q.shape[1] // k.shape[1], []
    for h in range(q.shape[1]):
        scores = q[:, h] @ k[:, h // group].T / np.sqrt(q.shape[-1])
        scores[np.triu_indices(len(scores), 1)] = -np.inf
        p = np.exp(scores - scores.max(-1, keepdims=True))
        out.append(p / p.sum(-1, keepdims=True) @ v[:, h // group])
    return np.concatenate(out, axis=-1)


def numpy_llama(model, tokens: np.ndarray, edit=lambda site, layer, x: x):
    """Final hidden states, every site's value ``[layer, position, width]``, logits; ``edit`` replaces activations."""
    from llmworld_jax.axes import SITES

    c, layers = model.config, model.layers
    named = {n: np.asarray(getattr(layers, n)[...], np.float64) for n in "q k v o gate up down".split()}
    named |= {n: np.asarray(getattr(layers, n)[...], np.float64) for n in ("attn_norm", "mlp_norm")}
    embed, positions = np.asarray(model.embed[...], np.float64), np.arange(len(tokens))
    h, sites = embed[tokens], {site: [] for site in SITES}
    for i in range(c.num_layers):
        w = {n: x[i] for n, x in named.items()}
        h = edit("resid_pre", i, h)
        x = rms(h, w["attn_norm"], c.norm_eps)
        q, k, v = ((x @ w[n]).reshape(len(tokens), -1, c.head_dim) for n in "qkv")
        z = edit("z", i, attend(turn(q, positions, c.rope_theta), turn(k, positions, c.rope_theta), v))
        attn_out = edit("attn_out", i, z @ w["o"])
        mid = edit("resid_mid", i, h + attn_out)
        x = rms(mid, w["mlp_norm"], c.norm_eps)
        gate = x @ w["gate"]
        neurons = edit("mlp_act", i, gate / (1 + np.exp(-gate)) * (x @ w["up"]))
        mlp_out = edit("mlp_out", i, neurons @ w["down"])
        post = edit("resid_post", i, mid + mlp_out)
        for site, value in zip(SITES, (h, z, attn_out, mid, neurons, mlp_out, post), strict=True):
            sites[site].append(value)
        h = post
    hidden = rms(h, np.asarray(model.final_norm[...], np.float64), c.norm_eps)
    head = embed.T if c.tied else np.asarray(model.head[...], np.float64)
    return hidden, {site: np.stack(values) for site, values in sites.items()}, hidden @ head


@pytest.fixture(scope="session")
def plain():
    """``plain(model, tokens, edit=...)``, see ``numpy_llama``."""
    return numpy_llama
