"""Logits that a folder ships, or that torch makes, against ours: agreement, and everything that is to be noticed."""

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models

from llmworld_jax.errors import InputError
from llmworld_jax.experiments.models_command import verify
from llmworld_jax.models import remembered_check
from llmworld_jax.models import self_check as module
from llmworld_jax.models.catalogue import load as load_model
from llmworld_jax.models.catalogue import read_config
from llmworld_jax.models.checkpoint import load_parameters
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.mesh import make_mesh, parse_mesh
from llmworld_jax.models.self_check import (
    EXPECTED,
    TOLERANCES,
    Check,
    check_against_torch,
    check_expected,
    fixed_input,
    self_check,
    write_expected,
)
from llmworld_jax.models.storage import pack, quantise

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
VARIANTS = sorted(path.stem for path in GOLDEN.glob("*.npz"))
ONE = "llama_llama31"

Arrays = dict[str, np.ndarray]


def golden(variant: str) -> Arrays:
    with np.load(GOLDEN / f"{variant}.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def make_folder(folder: Path, variant: str, case: str | None = "far", **parts: Any) -> Path:
    """The model of a golden file, with its logits of one case; ``parts`` are arguments for ``write_expected``."""
    arrays, prefix = golden(variant), "weight/"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(str(arrays["config"]))
    weights = {n.removeprefix(prefix): w.astype(np.float32) for n, w in arrays.items() if n.startswith(prefix)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if case is not None:
        given = {name: arrays[f"{case}/{name}"] for name in ("tokens", "rows", "positions")}
        write_expected(folder, **{"logits": arrays[f"{case}/logits_f32"], **given, **parts})
    return folder


def load(folder: Path, dtype: Any = jnp.float32, **more: Any) -> Llama:
    return load_parameters(folder, read_config(folder / "config.json"), dtype, **more)


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "model", ONE)


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python does for a package that cannot be imported


@pytest.mark.parametrize("case", ["far", "long"])
def test_every_family_agrees_with_the_logits_it_ships(variant: str, case: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", variant, case)
    check = check_expected(folder, load(folder))
    arrays = golden(variant)
    assert check.source == EXPECTED
    assert check.rows == len(arrays[f"{case}/rows"])
    assert 0 < check.difference < 1e-5 < check.tolerance == TOLERANCES["float32"]
    np.testing.assert_array_equal(check.tokens, arrays[f"{case}/tokens"])
    np.testing.assert_array_equal(check.positions, arrays[f"{case}/positions"])
    assert self_check(folder, load(folder)) == check.line
    assert f"after {check.rows} of {len(check.tokens)} tokens" in check.line


def test_a_folder_that_ships_nothing_has_nothing_said_of_it(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", ONE, None)
    assert self_check(folder, load(folder)) is None
    with pytest.raises(InputError, match=re.escape(EXPECTED)):
        check_expected(folder, load(folder))


def one_wrong_row(weights: Arrays) -> None:
    weights["model.layers.1.self_attn.q_proj.weight"][3] *= -1


def one_wrong_number(weights: Arrays) -> None:
    weights["model.layers.2.mlp.down_proj.weight"][5, 7] += 1


def one_wrong_token(weights: Arrays) -> None:
    weights["lm_head.weight"][96, 0] += 0.25


def not_a_number(weights: Arrays) -> None:
    weights["model.layers.0.self_attn.v_proj.weight"][0, 0] = np.nan


CORRUPTIONS = (one_wrong_row, one_wrong_number, one_wrong_token, not_a_number)


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
def test_a_corrupted_weight_is_caught(folder: Path, corrupt: Callable[[Arrays], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    corrupt(weights)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"differ from those of expected_logits.*at most 0.001 in float32"):
        self_check(folder, load(folder))


def test_a_wrong_config_is_caught(folder: Path) -> None:
    config = dataclasses.replace(read_config(folder / "config.json"), rope_scaling=None)
    with pytest.raises(InputError, match="weights, config and reference"):
        self_check(folder, load_parameters(folder, config))


STORED = {
    "bfloat16": lambda folder: load(folder, jnp.bfloat16),
    "bfloat16 (packed)": lambda folder: pack(load(folder, jnp.bfloat16)),
    "float16": lambda folder: load(folder, jnp.float16),
    "int8 + bfloat16": lambda folder: quantise(load(folder, jnp.bfloat16)),
}


@pytest.mark.parametrize("storage", STORED)
def test_coarse_numbers_are_allowed_their_rounding_and_no_more(storage: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", "qwen3", "near")
    check = check_expected(folder, STORED[storage](folder))
    assert 1e-4 < check.difference < check.tolerance == TOLERANCES[storage.split()[0]]
    arrays = golden("qwen3")
    write_expected(folder, arrays["near/tokens"], -arrays["near/logits_f32"], arrays["near/rows"])
    with pytest.raises(InputError, match=re.escape(f"at most {check.tolerance} in {storage}")):
        check_expected(folder, STORED[storage](folder))


def test_a_model_in_float64_may_differ_as_one_in_float32(folder: Path) -> None:
    with jax.enable_x64(True):
        assert check_expected(folder, load(folder, jnp.float64)).difference < 1e-4


def test_some_tokens_of_the_vocabulary_are_enough(tmp_path: Path) -> None:
    choices = np.array([90, 3, 41])
    scores = golden(ONE)["far/logits_f32"][:, choices]
    folder = make_folder(tmp_path / "model", ONE, choices=choices, logits=scores)
    assert load_file(folder / EXPECTED)["choices"].dtype == np.int32
    assert check_expected(folder, load(folder)).difference < 1e-5
    write_expected(folder, **expected_of(folder) | {"choices": choices[[1, 0, 2]]})
    with pytest.raises(InputError, match="differ"):
        check_expected(folder, load(folder))


def test_positions_and_rows_are_all_of_them_unless_said(tmp_path: Path) -> None:
    """Every row of an input at positions 0, 1, 2 ..., which the golden arrays have not: from the model itself."""
    folder = make_folder(tmp_path / "model", ONE, None)
    tokens = np.arange(10)
    model = load(folder)
    every = module._scores(model, tokens.astype(np.int32), tokens.astype(np.int32), tokens, None)
    write_expected(folder, tokens, np.asarray(every))
    check = check_expected(folder, model)
    assert (check.rows, check.difference, check.positions.tolist()) == (10, 0, list(range(10)))


def expected_of(folder: Path) -> Arrays:
    return load_file(folder / EXPECTED)


@pytest.mark.parametrize("text", ["data=2,model=1", "data=1,model=2", "data=2,model=2"])
@pytest.mark.parametrize("some", [False, True])
def test_a_model_on_a_mesh_agrees(text: str, some: bool, tmp_path: Path) -> None:
    choices = np.array([90, 3, 41])
    parts = {"choices": choices, "logits": golden("llama_grouped")["far/logits_f32"][:, choices]} if some else {}
    folder = make_folder(tmp_path / "model", "llama_grouped", **parts)
    model = load(folder, mesh=make_mesh(parse_mesh(text)))
    assert check_expected(folder, model).difference < 1e-5


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no logits": ({"logits": None}, "no logits"),
    "no tokens": ({"tokens": None}, "no tokens"),
    "unknown": ({"labels": np.zeros(3, np.int32)}, "the unknown labels"),
    "floats": ({"tokens": np.zeros(24, np.float32)}, r"tokens float32 \[24\] instead of integers"),
    "halves": ({"logits": np.zeros((10, 97), np.float16)}, "logits float16 .* instead of float32"),
    "no axis": ({"logits": np.zeros(97, np.float32)}, r"logits float32 \[97\] instead of .* two axes"),
    "empty": ({"tokens": np.zeros(0, np.int32)}, r"tokens int32 \[0\]"),
    "outside": ({"tokens": np.full(24, 97, np.int32)}, "tokens from 97 to 97, not in 0 to 96"),
    "negative": ({"tokens": np.full(24, -1, np.int32)}, "tokens from -1"),
    "row outside": ({"rows": np.arange(15, 25, dtype=np.int32)}, "rows from 15 to 24, not in 0 to 23"),
    "rows missing": ({"rows": None}, r"\[10, 97\] logits and 24 tokens, which rows do not fit"),
    "rows too few": ({"rows": np.arange(9, dtype=np.int32)}, "which rows do not fit"),
    "narrow": ({"logits": np.zeros((10, 96), np.float32)}, r"\[10, 96\] logits .* which choices do not fit"),
    "choices too few": ({"choices": np.arange(96, dtype=np.int32)}, "which choices do not fit"),
    "choice outside": ({"choices": np.arange(1, 98, dtype=np.int32)}, "choices from 1 to 97"),
    "short positions": ({"positions": np.arange(23, dtype=np.int32)}, "which positions do not fit"),
    "negative positions": ({"positions": np.arange(-1, 23, dtype=np.int32)}, "positions from -1"),
    "far positions": ({"positions": np.arange(24) + 2**31}, "positions from 2147483648"),
    "undefined": ({"logits": np.full((10, 97), np.nan, np.float32)}, "logits that are not finite"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_does_not_fit_is_refused(folder: Path, what: str) -> None:
    changes, said = WRONG[what]
    arrays = {name: value for name, value in (expected_of(folder) | changes).items() if value is not None}
    save_file(arrays, folder / EXPECTED)
    with pytest.raises(InputError, match=said) as caught:
        self_check(folder, load(folder))
    assert str(folder / EXPECTED) in str(caught.value)


def test_a_damaged_file_is_refused(folder: Path) -> None:
    path = folder / EXPECTED
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match="cannot be read"):
        self_check(folder, load(folder))


# What the arguments cannot say, or what is only wrong for a vocabulary that is not known here.
WRITABLE = {"no logits", "no tokens", "unknown", "halves", "narrow", "choice outside"}


@pytest.mark.parametrize("what", [name for name in WRONG if name not in WRITABLE])
def test_what_does_not_fit_is_not_written(folder: Path, what: str) -> None:
    changes, _ = WRONG[what]
    before = (folder / EXPECTED).read_bytes()
    arrays = expected_of(folder) | changes
    with pytest.raises((InputError, TypeError)):
        write_expected(folder, **arrays)
    assert (folder / EXPECTED).read_bytes() == before


@pytest.mark.parametrize(("size", "last"), [(8192, 3000), (1024, 1023), (10, 15)])
def test_the_fixed_input_is_everywhere_in_the_vocabulary_and_far_out(folder: Path, size: int, last: int) -> None:
    config = dataclasses.replace(read_config(folder / "config.json"), vocab_size=50_000, max_positions=size)
    tokens, positions = fixed_input(config)
    assert tokens.dtype == positions.dtype == np.int32
    assert len(set(tokens.tolist())) == len(positions) == 16
    gaps = np.diff(np.sort(tokens))
    assert 0 <= tokens.min() < 5000
    assert 45_000 < tokens.max() < 50_000
    assert gaps.max() < 5000
    assert (np.diff(positions) > 0).all()
    assert positions[-1] == last
    np.testing.assert_array_equal(fixed_input(config)[0], tokens)


def test_a_tiny_vocabulary_has_a_fixed_input_too(folder: Path) -> None:
    tokens, _ = fixed_input(dataclasses.replace(read_config(folder / "config.json"), vocab_size=3))
    assert set(tokens.tolist()) == {0, 1, 2}


@pytest.mark.usefixtures("no_torch")
def test_without_torch_it_is_said_that_nothing_was_compared(folder: Path) -> None:
    said = check_against_torch(folder, load(folder))
    assert isinstance(said, str)
    assert "torch and transformers are not both installed" in said


def test_a_large_model_is_not_run_in_torch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2**10)
    assert re.search(r"take 0.0 GiB in float32, more than 9.5\S+ GiB", str(check_against_torch(folder, load(folder))))


def with_tokenizer(folder: Path) -> Path:
    Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a")).save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.usefixtures("no_torch")
def test_verify_says_what_was_compared_and_what_not(folder: Path) -> None:
    with_tokenizer(folder)
    shipped, missing = verify(str(folder))[-2:]
    assert f"those of {EXPECTED}" in shipped
    assert "not compared with Hugging Face torch: torch and transformers are not both" in missing
    (folder / EXPECTED).unlink()
    lines = verify(str(folder))
    assert lines[-1] == missing
    assert not any(EXPECTED in line for line in lines)


@pytest.mark.usefixtures("no_torch")
def test_verify_refuses_other_logits(folder: Path) -> None:
    arrays = expected_of(with_tokenizer(folder))
    write_expected(folder, **arrays | {"logits": 1.01 * arrays["logits"]})
    with pytest.raises(InputError, match="differ from those"):
        verify(str(folder))


def test_verify_leaves_the_logits_of_a_large_model_to_loading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2**10)
    assert "loading it compares them with" in verify(str(with_tokenizer(folder)))[-1]
    (folder / EXPECTED).unlink()
    assert verify(str(folder))[-1].endswith("GiB")


@pytest.mark.torch
def test_every_family_agrees_with_torch(variant: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = make_folder(tmp_path / "model", variant, None)
    check = check_against_torch(folder, load(folder))
    assert isinstance(check, Check), check
    assert check.positions[-1] == 3000
    assert check.rows == 16
    assert check.difference < 1e-5


@pytest.mark.torch
def test_torch_notices_a_corrupted_weight_and_a_wrong_rotation(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = make_folder(tmp_path / "model", ONE, None)
    config = read_config(folder / "config.json")
    with pytest.raises(InputError, match="those of Hugging Face torch"):
        check_against_torch(folder, load_parameters(folder, dataclasses.replace(config, rope_scaling=None)))
    other = shutil.copytree(folder, tmp_path / "other")
    weights = load_file(folder / "model.safetensors")
    one_wrong_row(weights)
    save_file(weights, other / "model.safetensors")
    with pytest.raises(InputError, match="those of Hugging Face torch"):
        check_against_torch(folder, load(other))


@pytest.mark.torch
def test_what_transformers_cannot_load_is_said(folder: Path) -> None:
    pytest.importorskip("torch")
    model = load(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "of my own", "auto_map": {"AutoConfig": "x.Y"}}))
    (folder / "x.py").write_text("raise SystemExit('code of the folder ran')")
    assert "transformers could not run it" in str(check_against_torch(folder, model))


@pytest.mark.torch
def test_pickles_are_not_opened(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    model = load(folder)
    weights = {name: torch.from_numpy(w) for name, w in load_file(folder / "model.safetensors").items()}
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "transformers could not run it" in str(check_against_torch(folder, model))


@pytest.mark.torch
def test_verify_compares_with_torch(folder: Path) -> None:
    pytest.importorskip("torch")
    shipped, theirs = verify(str(with_tokenizer(folder)))[-2:]
    assert f"those of {EXPECTED}" in shipped
    assert "those of Hugging Face torch" in theirs
    assert "position 3000" in theirs


@pytest.mark.torch
def test_loading_compares_with_torch_where_nothing_is_shipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("LLMWORLD_CACHE", str(folder.parent / "cache"))
    spec = with_tokenizer(folder)
    assert f"those of {EXPECTED}" in load_model(spec).provenance["self_check"]
    (folder / EXPECTED).unlink()
    line = load_model(spec).provenance["self_check"]
    assert "those of Hugging Face torch" in line
    monkeypatch.setattr(remembered_check, "check_against_torch", None)  # it is not asked again
    assert load_model(spec).provenance["self_check"] == line
