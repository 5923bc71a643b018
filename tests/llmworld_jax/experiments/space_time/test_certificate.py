"""The certificate passes where a direction is used by construction, and fails where it is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.experiments.space_time.certificate import (
    ISOTROPIC,
    SPANNED,
    TESTED,
    _directions,
    certify,
    rank_p,
    student,
)
from llmworld_jax.experiments.space_time.certificate_words import certificate_verdict
from llmworld_jax.experiments.space_time.depth_profile import depth_profile, reach
from llmworld_jax.experiments.space_time.responses import Contrast

pytestmark = pytest.mark.slow  # one interpreter is enough

RANDOM = np.random.default_rng(7)
WIDTH, LAYERS, DOSES = 32, 3, (-3.0, -1.0, 0.0, 2.0, 3.0)
READ, SAID = np.linalg.qr(RANDOM.normal(size=(WIDTH, 2)))[0].T.astype(np.float32)
CONTRAST = Contrast(
    tokens=RANDOM.integers(0, 40, (6, 6)).astype(np.int32),
    entity_at=np.array([1, 2, 1, 2, 3, 1], np.int32),
    last=np.full(6, 5, np.int32),
    answers=np.array([5, 9], np.int32),
    values=np.array([[-1.0], [1.0]], np.float32),
)
KEY = jax.random.key(4)


@pytest.fixture(scope="module")
def planted(tiny_llama):
    """One head of block 1 carries READ to later tokens and writes it as SAID, from which the two answers are read.

    Nothing else writes READ or SAID, so that the answers know nothing but the step."""
    model = tiny_llama(num_layers=LAYERS, tied=False)
    away = jnp.asarray(np.eye(WIDTH) - np.outer(SAID, SAID) - np.outer(READ, READ), jnp.float32)
    layers = model.layers
    layers.o[...] = layers.o[...] @ away
    layers.down[...] = layers.down[...] @ away
    model.embed[...] = model.embed[...] @ away
    norm = layers.attn_norm[...][1]
    layers.v[...] = layers.v[...].at[1, :, 0].set(READ / norm)
    layers.o[...] = layers.o[...].at[1, 0].set(6 * SAID)
    # the other head that shares the value writes nothing of it
    layers.o[...] = layers.o[...].at[1, 8].set(0)
    model.head[...] = away @ model.head[...]
    answers = jnp.stack((-SAID, SAID), axis=1) / model.final_norm[...][:, None]
    model.head[...] = model.head[...].at[:, CONTRAST.answers].set(answers)
    return model


def probes(direction: np.ndarray) -> np.ndarray:
    return np.broadcast_to(direction[None, :, None], (LAYERS, WIDTH, 1)).astype(np.float32)


def certificate(model, direction, block=0, **options):
    weights = probes(direction)
    return certify(model, CONTRAST, jnp.asarray(direction), block, DOSES, weights, KEY, 19, **options)


@pytest.fixture(scope="module")
def passed(planted):
    return certificate(planted, READ)


def orthogonal() -> np.ndarray:
    other = RANDOM.normal(size=WIDTH)
    other -= READ * (other @ READ) + SAID * (other @ SAID)
    return (other / np.linalg.norm(other)).astype(np.float32)


def test_a_planted_direction_passes(passed):
    assert passed.passes
    assert passed.gain == passed.slope[0] > 0.02
    assert passed.slope_low > 0
    assert passed.p_value == 1 / 20
    assert passed.monotone == pytest.approx(1)
    assert passed.slope[0] > 1.2 * np.abs(passed.slope[1:]).max()


def test_another_direction_in_its_place_fails(planted):
    failed = certificate(planted, orthogonal())
    assert not failed.passes
    assert failed.p_value > 0.1
    assert failed.monotone == pytest.approx(1), "its own read-out moves all the same: it stays in the stream"


def test_after_the_block_that_reads_it_the_same_direction_fails(planted):
    late = certificate(planted, READ, block=1)
    assert not late.passes
    assert abs(late.slope[0]) < 0.2 * certificate(planted, READ, block=0).slope[0]


def test_the_wrong_sign_fails(planted):
    turned = certificate(planted, -READ)
    assert turned.slope[0] < 0
    assert turned.p_value == 1 / 20, "as large as before"
    assert not turned.passes


def test_dose_zero_is_the_clean_run_for_every_direction(passed):
    at = DOSES.index(0.0)
    np.testing.assert_array_equal(passed.divergence[:, at], 0)
    np.testing.assert_array_equal(passed.read_out[:, at], 0)
    np.testing.assert_array_equal(passed.score[:, at], np.broadcast_to(passed.score[:1, at], (20, 6)))


def test_the_read_out_of_the_tested_direction_moves_by_the_dose_where_the_step_is_made(planted):
    found = certificate(planted, 3 * READ / 9)  # a step of length 1/3 by a probe of length 3 is one of its units
    scaled = certify(planted, CONTRAST, jnp.asarray(READ / 3), 0, DOSES, probes(3 * READ), KEY, 2)
    np.testing.assert_allclose(scaled.read_out[0, :, 0, 0], DOSES, atol=1e-4)
    assert found.length == pytest.approx(1 / 3, rel=1e-6)


def test_selectivity_does_not_depend_on_the_length_of_small_steps(planted):
    small, smaller = (
        certify(planted, CONTRAST, jnp.asarray(c * READ), 0, (-1.0, 1.0), probes(READ), KEY, 5) for c in (0.2, 0.1)
    )
    np.testing.assert_allclose(small.selectivity, smaller.selectivity, rtol=0.1)
    assert small.slope[0] == pytest.approx(2 * smaller.slope[0], rel=0.05)


def test_random_steps_are_as_long_and_half_of_them_lie_in_the_span():
    span = jnp.asarray(np.linalg.qr(RANDOM.normal(size=(WIDTH, 4)))[0].T)
    step = jnp.asarray(5 * READ)
    rows, kinds = _directions(KEY, step, 9, span)
    assert kinds == (TESTED, *[ISOTROPIC] * 5, *[SPANNED] * 4)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 5, rtol=1e-5)
    inside = np.asarray(rows) @ np.asarray(span).T
    np.testing.assert_allclose(np.linalg.norm(inside[6:], axis=1), 5, rtol=1e-5)
    assert np.linalg.norm(inside[1:6], axis=1).max() < 4.9
    assert _directions(KEY, step, 3, None)[1] == (TESTED, *[ISOTROPIC] * 3)


def test_ranks_and_intervals_of_known_numbers():
    assert rank_p(np.array([3.0, 1, 2, 3, 4])) == 3 / 5
    assert np.isnan(rank_p(np.array([np.nan, 1.0])))
    low, high = student(np.array([1.0, 2, 3]))
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), rel=1e-4)
    assert np.isnan(student(np.array([1.0]))).all()


class TestInWords:
    @pytest.fixture
    def table(self):
        from llmworld_jax.entities.table import EntityTable

        return EntityTable(
            key="made_up", names=("a",), texts=("a",), targets=np.zeros((1, 1)), target_names=("death_year",),
            units=("years",), kind="time", groups={}, held_out=None, rows=np.array([2]), source="", licence="",
        )  # fmt: skip

    def test_both_ways(self, passed, table):
        good = certificate_verdict(passed, table)
        assert good.kind == "good"
        assert "uses the direction of death year" in good.text
        small = certificate_verdict(passed._replace(gain=0.001), table)
        assert small.kind == "neutral"
        assert "hardly" in small.text
        slope = passed.slope.copy()
        slope[3] = 9
        bad = certificate_verdict(passed._replace(passes=False, slope=slope, monotone=0.2), table)
        assert bad.kind == "negative"
        assert "1 of the random steps" in bad.text
        assert "does not follow" in bad.text

    def test_what_was_not_asked_is_not_claimed(self, planted, table):
        bare = CONTRAST._replace(answers=np.zeros(0, np.int32), values=np.zeros((0, 1), np.float32))
        found = certify(planted, bare, jnp.asarray(READ), 0, DOSES, probes(READ), KEY, 3)
        assert not found.measured
        assert not found.passes
        assert np.isnan(found.p_value)
        assert certificate_verdict(found, table).kind == "neutral"


def test_the_profile_is_the_certificate_of_every_depth_and_ends_where_the_direction_is_read(planted):
    blocks = np.arange(LAYERS)
    steps = np.tile(READ, (LAYERS, 1))
    profile = depth_profile(planted, CONTRAST, steps, blocks, 3.0, probes(READ))
    ends = certify(planted, CONTRAST, jnp.asarray(READ), 0, (-3.0, 3.0), probes(READ), KEY, 1)
    assert profile.gain[0] == pytest.approx(ends.gain, rel=1e-4)
    assert profile.low[0] == pytest.approx(ends.slope_low, rel=1e-3)
    assert reach(profile) == 0
    assert profile.kept[-1] == pytest.approx(1, abs=1e-4), "after the last block nothing can take it away"
    assert profile.heard[-1] == pytest.approx(0, abs=1e-5), "nor carry it on"
    assert reach(profile._replace(gain=np.full(LAYERS, np.nan))) is None
