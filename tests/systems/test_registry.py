"""Systems by name: what there is, chains of any size, and what is said of a name that there is not."""

import sys

import jax
import pytest

from systems import SYSTEMS, describe, system_named


def test_registered_names_are_themselves():
    assert all(system_named(name) is SYSTEMS[name] for name in SYSTEMS)


def test_chains_come_in_any_size():
    for name, size in (("markov_chain_2", 2), ("markov_chain_10", 10), ("markov_chain_low_entropy_30", 30)):
        rows = jax.eval_shape(lambda key, name=name: system_named(name)(key).transition, jax.random.key(0))
        assert rows.shape == (size, size)


def test_the_chain_of_a_size_in_the_registry_is_that_one():
    assert describe(system_named("markov_chain_4")(jax.random.key(1))) == describe(
        SYSTEMS["markov_chain"](jax.random.key(1))
    )


@pytest.mark.parametrize(
    ("name", "near"),
    [("lorentz", "lorenz"), ("Rossler", "rossler"), ("markov_chain_1", "markov_chain"), ("markov_chain_08", "markov")],
)
def test_a_misspelt_name_is_told_the_nearest_and_all_choices(name, near):
    with pytest.raises(ValueError, match=rf"Got system '{name}'\. Expected one of {near}") as said:
        system_named(name)
    assert all(choice in str(said.value) for choice in [*SYSTEMS, "markov_chain_N", "dysts:Name"])


def test_without_the_collection_its_names_say_how_to_get_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "dysts", raising=False)
    with pytest.raises(ValueError, match=r"'dysts:Lorenz' without its collection.*pip install --no-deps dysts"):
        system_named("dysts:Lorenz")
