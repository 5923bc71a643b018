"""What made a result: versions, machine, precision settings and the command."""

import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    *("llmworld_jax", "jax", "jaxlib", "flax", "numpy", "diffrax", "equinox"),
    *("transformers", "tokenizers", "safetensors"),
)


def package_version(name: str) -> str:
    """Of an installed distribution; ``not installed`` where there is none of this name."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _command(arguments: list[str]) -> str:
    # The program's folder says where somebody's home is and nothing about the result.
    return shlex.join([Path(arguments[0]).name, *arguments[1:]]) if arguments else ""


def provenance(**extra: Any) -> dict[str, Any]:
    """Versions, device and command of this process, with ``extra`` entries last (model hash, codec, ...).

    Asks JAX for its devices, and so starts its backend; importing this module does not. Of paths it holds
    only those that the user typed as arguments.
    """
    import jax

    device = jax.devices()[0]
    config: Any = jax.config  # its attributes are made at run time
    return {
        "command": _command(sys.argv),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": {"backend": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "matmul_precision": config.jax_default_matmul_precision or "default",
        "x64": bool(config.jax_enable_x64),
        "versions": {name: package_version(name) for name in PACKAGES},
        **extra,
    }
