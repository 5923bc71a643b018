"""Independent draws: the stated laws are scipy's, and no state moves them."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from systems import IIDGaussian, IIDUniform


@settings(deadline=None, max_examples=15)
@given(location=st.floats(-3, 3), scale=st.floats(0.1, 3), q=st.floats(-5, 5), state=st.floats(-9, 9))
def test_laws_are_the_textbook_ones_whatever_the_state(location, scale, q, state):
    worlds = (
        (IIDGaussian(location, scale), stats.norm(location, scale)),
        (IIDUniform(location, location + scale), stats.uniform(location, scale)),
    )
    for system, law in worlds:
        at = jnp.array([state])
        np.testing.assert_allclose(system.transition_cdf(at, q), law.cdf(q), atol=1e-5)
        np.testing.assert_allclose(system.transition_mean(at), law.mean(), atol=1e-6)
        np.testing.assert_allclose(system.transition_sd(at), law.std(), rtol=1e-5)
