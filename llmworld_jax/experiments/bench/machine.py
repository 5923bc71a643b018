"""What a number was measured on."""

import os
import platform
from typing import Any

import jax

BUSY_LOAD = 0.25
"""Load average before the run, a core, from which its numbers are not to be relied on."""
BUSY = (
    "others were using these cores. Seconds are too long, the peak may be too low, and the peer suffers most (torch's "
    "threads wait for the slowest of them, spinning): no ratio here is to be quoted"
)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_name() -> str:
    """Kind of the first device; of a CPU the processor's own name, where the system tells it."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return device.device_kind
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine() or device.device_kind


def load_average() -> float | None:
    """Processes that wanted a core in the last minute: those of others make every number here too slow."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def load_facts(before: float | None, after: float | None) -> dict[str, str]:
    """Of the header: how busy the machine was before the run, and at its end with the run itself."""
    if before is None or after is None:
        return {}
    told = {"load average": f"{before:.1f} before, {after:.1f} at the end, this run included"}
    return told | ({"warning": BUSY} if before > BUSY_LOAD * cores() else {})


def facts() -> dict[str, Any]:
    """Of the header."""
    device = jax.devices()[0]
    return {
        "device": f"{device_name()} ({device.platform}, the first of {jax.device_count()})",
        "cores": cores(),
        "jax": jax.__version__,
    }
