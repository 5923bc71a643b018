"""The ideal observer of a Markov chain: rows unknown, a Dirichlet law over each."""

from jaxtyping import Array, Float, Int

from .nulls import bigram


def dirichlet_predictive(
    symbols: Int[Array, " time"], num_symbols: int, *, concentration: float = 1.0
) -> Float[Array, "time symbol"]:
    """ln of the exact posterior predictive of a chain whose rows are independent symmetric Dirichlet(c).

    P(s_t = j | past) = [N(s_{t−1} → j) + c] / [N(s_{t−1} → ·) + c·n], over the pairs before t. The add-c
    bigram *is* this law: smoothing is the concentration of the prior. c = 1 is uniform on the simplex, small c
    expects rows that are nearly sure; the observer is ideal for chains drawn with its own c only. Item 0 gets
    the uniform law.

    Raises:
        ValueError: ``concentration`` not positive.
    """
    if not concentration > 0:
        raise ValueError(
            f"dirichlet_predictive: got concentration {concentration}; expected a positive number; "
            "use the one the rows are drawn with, 1 when nothing is known"
        )
    return bigram(symbols, num_symbols, smoothing=concentration)
