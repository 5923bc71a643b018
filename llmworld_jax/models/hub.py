"""Model folders from the Hugging Face hub, with every refusal of the hub said in one message."""

import re
from pathlib import Path

from ..errors import InputError

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
"""``org/name`` or ``org/name@revision``."""

_WANTED = [
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
]
_UNWANTED = ["*/*", "consolidated*"]

_OFFLINE = (
    "the model in the local hub cache, or a connection to the hub",
    "Connect and unset HF_HUB_OFFLINE, or give the path of a local folder",
)
_ADVICE = {
    "GatedRepoError": (
        "access to this gated model",
        "Accept its licence on its hub page, then `hf auth login` (or set HF_TOKEN); "
        "or use the default model, which needs no account",
    ),
    "RevisionNotFoundError": ("a branch, tag or commit of the model", "Check what follows the @"),
    "RepositoryNotFoundError": (
        "a public model of the hub, or one that your token may read",
        "Check the spelling; for a private model `hf auth login` (or set HF_TOKEN)",
    ),
    "IncompleteSnapshotError": _OFFLINE,
    "LocalEntryNotFoundError": _OFFLINE,
    "OfflineModeIsEnabled": _OFFLINE,
    "ConnectError": _OFFLINE,
    "HFValidationError": ("org/name or org/name@revision", "Check the spelling"),
}
"""Name of the hub's exception -> what was expected, what to do."""


def download(repository: str) -> Path:
    """Folder of a snapshot in the user's hub cache; safetensors, config and tokenizer files only.

    Raises:
        InputError: gated, private, unknown, offline, interrupted.
    """
    from huggingface_hub import snapshot_download

    name, _, revision = repository.partition("@")
    try:
        return Path(
            snapshot_download(name, revision=revision or None, allow_patterns=_WANTED, ignore_patterns=_UNWANTED)
        )
    except Exception as error:  # the hub's client raises its own, its transport's and the system's errors
        kinds = [kind.__name__ for kind in type(error).__mro__]
        expected, remedy = next(
            (_ADVICE[kind] for kind in kinds if kind in _ADVICE),
            ("a download from the hub", "Try again, or give the path of a local folder"),
        )
        reason = (str(error).strip().splitlines() or [""])[0]
        raise InputError(f"{type(error).__name__} for {repository} ({reason})", expected, remedy) from error
