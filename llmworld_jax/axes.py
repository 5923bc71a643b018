"""The axis words and activation-site names used in every signature of this library.

Axes
    ``batch``     independent prompts
    ``position``  token positions of a prompt
    ``layer``     transformer blocks, 0 first
    ``head``      query heads; ``kv_head`` key/value heads; ``group`` query heads per key/value head
    ``head_dim``  width of one head
    ``d_model``   width of the residual stream; ``d_mlp`` width of the gated MLP
    ``vocab``     token ids
    ``time``      items of a series (numbers, symbols), 0 first
    ``digit``     digit places of a number, most significant first
    ``bin``       cells of the numeral grid, ascending
    ``node``      prefixes in the digit tree; ``slot`` their ancestors, themselves last

Activation sites (TransformerLens's names)
    ``resid_pre``   residual stream entering a block
    ``z``           outputs of the attention heads side by side, before the output projection
    ``attn_out``    attention's contribution
    ``resid_mid``   residual stream between attention and MLP
    ``mlp_act``     gated MLP neurons, silu(gate) * up
    ``mlp_out``     MLP's contribution
    ``resid_post``  residual stream leaving a block
    ``pattern``     attention weights ``[head, query, key]``: large, to be reduced where it is made
"""

from .errors import InputError

SITES = ("resid_pre", "z", "attn_out", "resid_mid", "mlp_act", "mlp_out", "resid_post")
PATTERN = "pattern"


def require_sites(sites: tuple[str, ...], known: tuple[str, ...] = SITES) -> None:
    """Raise ``InputError``, which names them, when some of ``sites`` are not ``known``."""
    unknown = [site for site in sites if site not in known]
    if unknown:
        raise InputError(
            f"the activation sites {', '.join(unknown)}", f"some of {', '.join(known)}", "Choose from these"
        )
