"""What torch makes of a model is found out at the first load, and asked for again only when something changed."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.models import remembered_check as module
from llmworld_jax.models.mesh import make_mesh
from llmworld_jax.models.remembered_check import check_once
from llmworld_jax.models.self_check import Check
from llmworld_jax.models.sharding import place_model

WEIGHTS = {"sha256": "one", "fingerprint": None}


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[Path]:
    """The folders that torch was asked about; its answer is always that all is well."""
    folders: list[Path] = []

    def answer(folder, model):
        folders.append(folder)
        return Check("torch", 1e-6, 2, 1e-3, np.arange(2), np.arange(2))

    monkeypatch.setenv("LLMWORLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "find_spec", lambda name: name)
    monkeypatch.setattr(module, "no_torch", lambda: None)
    monkeypatch.setattr(module, "package_version", lambda name: "1")
    monkeypatch.setattr(module, "check_against_torch", answer)
    return folders


def test_it_is_asked_once_for_each_set_of_weights_config_and_versions(tiny_llama, asked, monkeypatch):
    model = tiny_llama()
    first = check_once(Path("a"), model, WEIGHTS)
    assert "differ from those of torch by 1.0e-06" in first
    assert check_once(Path("b"), model, WEIGHTS) == first
    assert asked == [Path("a")]
    check_once(Path("c"), model, WEIGHTS | {"sha256": "two"})
    model.config = dataclasses.replace(model.config, norm_eps=1e-6)
    check_once(Path("d"), model, WEIGHTS)
    monkeypatch.setattr(module, "package_version", lambda name: "2")
    check_once(Path("e"), model, WEIGHTS)
    assert asked == [Path(name) for name in "acde"]


def test_that_torch_could_not_run_it_is_remembered(tiny_llama, asked, monkeypatch):
    monkeypatch.setattr(module, "check_against_torch", lambda folder, model: asked.append(folder) or "no such family")
    assert check_once(Path("a"), tiny_llama(), WEIGHTS) is None
    assert check_once(Path("a"), tiny_llama(), WEIGHTS) is None
    assert len(asked) == 1


def test_a_torch_that_cannot_be_imported_is_asked_when_it_is_mended(tiny_llama, asked, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(module, "no_torch", lambda: "a library is missing")
        assert check_once(Path("a"), tiny_llama(), WEIGHTS) is None
    assert check_once(Path("a"), tiny_llama(), WEIGHTS) is not None
    assert len(asked) == 1


def test_a_failure_is_not_remembered(tiny_llama, asked, monkeypatch):
    def wrong(folder, model):
        asked.append(folder)
        raise InputError("other logits", "the same", "Check them")

    monkeypatch.setattr(module, "check_against_torch", wrong)
    for _ in range(2):
        with pytest.raises(InputError, match="other logits"):
            check_once(Path("a"), tiny_llama(), WEIGHTS)
    assert len(asked) == 2


@pytest.mark.parametrize("case", ["no torch", "bfloat16", "mesh", "processes", "large"])
def test_what_torch_is_not_asked_about(tiny_llama, asked, monkeypatch, case):
    model = tiny_llama(dtype=jnp.bfloat16 if case == "bfloat16" else jnp.float32)
    if case == "no torch":
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    elif case == "mesh":
        model = place_model(model, make_mesh({"data": 1, "model": 2}))
    elif case == "processes":
        monkeypatch.setattr(module, "several", lambda: True)
    elif case == "large":
        monkeypatch.setattr(module, "too_large", lambda config: "large")
    assert check_once(Path("a"), model, WEIGHTS) is None
    assert not asked


@pytest.mark.parametrize("damage", ["{", "[]", "{}"])
def test_a_damaged_memory_is_made_anew(tiny_llama, asked, tmp_path, damage):
    first = check_once(Path("a"), tiny_llama(), WEIGHTS)
    (kept,) = (tmp_path / "cache" / "checked").iterdir()
    kept.write_text(damage)
    assert check_once(Path("a"), tiny_llama(), WEIGHTS) == first
    assert len(asked) == 2
    assert check_once(Path("a"), tiny_llama(), WEIGHTS) == first
    assert len(asked) == 2


def test_a_cache_that_cannot_be_written_to_does_no_harm(tiny_llama, asked, tmp_path):
    (tmp_path / "cache").write_text("a file")
    assert check_once(Path("a"), tiny_llama(), WEIGHTS) is not None
