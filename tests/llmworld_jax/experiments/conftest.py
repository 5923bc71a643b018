"""A tiny Hugging Face folder with random weights, so that whole commands run in seconds and need no network.

llmworld_jax is imported inside the fixtures, because jaxtyping's checker must be installed first.
"""

import json
import os
import re
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import jax
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models

from .drawing import drawn as drawn  # a fixture
from .random_weights import write_weights
from .word_model import make_word_model

CONTEXT = 512
VOCABULARY = ("<unk>", "<s>", "</s>", *"0123456789", *",; \t", *"abcdefghijklmnopqrstuvw")
CONFIG = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=len(VOCABULARY), hidden_size=32,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=48,
    hidden_act="silu", rms_norm_eps=1e-5, rope_theta=1e4, tie_word_embeddings=True,
    max_position_embeddings=CONTEXT, bos_token_id=1, eos_token_id=2,
)  # fmt: skip


def make_model_folder(folder: Path, seed: int = 0) -> Path:
    """Single characters as tokens; weights such that neither the laws nor the mass off the grid are trivial."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(VOCABULARY)}, [], unk_token="<unk>"))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in VOCABULARY[:3]])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>"}))
    write_weights(folder, CONFIG, seed)
    return folder


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Path]:
    """``make_model(folder, seed=0)``."""
    return make_model_folder


@pytest.fixture(scope="session")
def compiled_as_in_tests() -> Callable:
    """Context in which a fixture of a module is compiled as the tests that use it are, to the last bit."""

    @contextmanager
    def context():
        name = "jax_disable_most_optimizations"
        before = jax.config.values[name]
        jax.config.update(name, True)
        yield
        jax.config.update(name, before)

    return context


@pytest.fixture(scope="session")
def model_folder(made_once) -> Path:
    return made_once("models", lambda folder: make_model_folder(folder / "tiny")) / "tiny"


@pytest.fixture(scope="session")
def loaded(model_folder):
    from llmworld_jax.models.catalogue import load

    return load(model_folder)


@pytest.fixture(scope="session")
def word_model(tmp_path_factory) -> Path:
    return make_word_model(tmp_path_factory.mktemp("models") / "words")


@pytest.fixture(scope="session")
def word_loaded(word_model):
    from llmworld_jax.models.catalogue import load

    return load(word_model)


@pytest.fixture(autouse=True)
def place_of_its_own(tmp_path, shared_by_workers, monkeypatch) -> Path:
    """Current folder and model cache of one test, compile cache of one run of all: nothing is left in the user's."""
    monkeypatch.setenv("LLMWORLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("llmworld_jax.models.remembered_check.find_spec", lambda name: None)  # torch is for its tests
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # CI's is read by this process too
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(shared_by_workers / "compiled"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def no_forward(monkeypatch):
    """Fail the test when the model is run."""
    from llmworld_jax.experiments import many_laws, model_nulls, series_laws

    def refuse(*args, **kwargs):
        pytest.fail("a model was run on input that should have been refused")

    monkeypatch.setattr(many_laws, "_laws_of", refuse)
    for module in (model_nulls, series_laws):
        monkeypatch.setattr(module, "number_laws", refuse)


@pytest.fixture
def no_report(monkeypatch):
    """An empty page in the place of the report, where it is not what is tested: figures take seconds."""
    from llmworld_jax.experiments import dynamics_report
    from llmworld_jax.files import write_text

    monkeypatch.setattr(dynamics_report, "write_report", lambda folder, *rest: write_text(folder / "report.html", ""))


@pytest.fixture
def llmworld(capsys):
    """``llmworld(*arguments) -> (exit code, stdout, stderr)``, through the entry point, in this process."""
    from llmworld_jax.cli import main

    def call(*arguments) -> tuple[int, str, str]:
        try:
            main([str(a) for a in arguments])
            code = 0
        except SystemExit as exit_:
            code = exit_.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    """``snapshot(folder) -> every file below it, hidden ones too``."""
    return lambda folder: {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def is_paragraph() -> Callable[[str], bool]:
    """Whether a line says what was got, what was expected and what to do."""
    pattern = re.compile(r"llmworld: Got .+\. Expected .+\. [A-Z`].+\.")
    return lambda line: pattern.fullmatch(line) is not None


@pytest.fixture
def refused(llmworld, no_forward, place_of_its_own, snapshot, is_paragraph) -> Callable[..., str]:
    """``refused(*arguments) -> the message``: exit code 2, one paragraph, no model run, nothing left behind."""

    def call(*arguments) -> str:
        before = snapshot(place_of_its_own), sorted(place_of_its_own.rglob("*"))
        code, out, err = llmworld(*arguments)
        assert code == 2, err
        assert out == ""
        message = err.rstrip("\n").splitlines()[-1]
        assert is_paragraph(message), message
        assert "Traceback" not in err
        assert (snapshot(place_of_its_own), sorted(place_of_its_own.rglob("*"))) == before
        return message

    return call
