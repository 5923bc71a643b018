"""Whether a run fits, asked before anything is allocated."""

from contextlib import suppress
from pathlib import Path

import jax

from ...errors import InputError


def free_bytes() -> int | None:
    """Of the first device; of this machine's memory where the device has none of its own; ``None`` if not known."""
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    known = []
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        known.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with suppress(OSError, ValueError):  # a container's own limit
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        known.append(limit - used)
    return min(known, default=None)


def require_memory(what: dict[str, int], free: int | None) -> None:
    """Raise InputError when these bytes together are more than ``free``."""
    needed = sum(what.values())
    if free is not None and needed > free:
        parts = ", ".join(f"{name} {size / 2**30:.3g} GiB" for name, size in what.items() if size)
        raise InputError(
            f"a run that needs {needed / 2**30:.3g} GiB ({parts})",
            f"at most the {free / 2**30:.3g} GiB that are free on this device",
            "Choose a smaller model, --context, --batch or --rows, --dtype bfloat16, or --no-peer",
        )
