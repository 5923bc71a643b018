"""``llmworld models plan``: what each device of a cluster will hold, before any weight is read or device booked."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import jax

from ..errors import InputError
from ..models.catalogue import DEFAULT, read_config
from ..models.clusters import CLUSTERS, Cluster
from ..models.config import ModelConfig
from ..models.mesh import make_mesh, parse_mesh
from ..models.plan import Plan
from ..models.plan import plan as plan_on
from ..models.public_configs import PUBLIC_CONFIGS
from ..models.sharding import DATA, MODEL, held_whole
from ..models.storage import INT8

DTYPES = ("float32", "bfloat16", "float16", INT8)
CONTEXT = 4096
USABLE = 0.9
"""The part of a device's memory that a program can have, as a rule."""


class Row(NamedTuple):
    """One way to lay a model on a cluster; bytes of each device."""

    axes: dict[str, int]
    plan: Plan

    @property
    def together(self) -> int:
        """Weights, one sequence's keys and values, and what a pass needs on the way, as far as that is known."""
        return self.plan.weight_bytes + self.plan.cache_bytes + (self.plan.temporary_bytes or 0)


def plan(model: str | None, on: str | None, mesh: str | None, context: int | None, dtype: str) -> list[str]:
    """The lines to print. Raises InputError for an unknown model, cluster, mesh or dtype."""
    if dtype not in DTYPES:
        raise InputError(f"--dtype {dtype}", f"one of {', '.join(DTYPES)}", "Choose one of these")
    name = model or DEFAULT
    config = _config(name)
    context = min(CONTEXT, config.max_positions) if context is None else context
    if context < 1:
        raise InputError(f"--context {context}", "at least 1", "Raise --context")
    cluster = None if on is None else _cluster(on)
    meshes = _meshes(cluster, mesh)
    _pretend(max(axes[DATA] * axes[MODEL] for axes in meshes))
    rows = [Row(axes, _planned(config, axes, context, dtype)) for axes in meshes]
    first = rows[0].plan
    return [
        f"{name}: {first.parameters:,} parameters, {dtype}, {context} tokens a sequence",
        f"operations of one pass over a sequence: {first.flops:.3g}",
        *_table(rows, cluster),
        *_verdict(config, rows, on, cluster),
    ]


def _planned(config: ModelConfig, axes: dict[str, int], context: int, dtype: str) -> Plan:
    enough = axes[DATA] * axes[MODEL] <= jax.device_count()
    return plan_on(config, context=context, dtype=dtype, axes=axes, compiled_on=make_mesh(axes) if enough else None)


def _pretend(devices: int) -> None:
    """As many CPU devices as the cluster has chips: programs are compiled for them and never run."""
    with suppress(RuntimeError):  # devices are already in use, as in a notebook: those that are there must do
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", devices)


def _cluster(name: str) -> Cluster:
    found = CLUSTERS.get(name.lower().replace("×", "x").replace("*", "x"))
    if found is None:
        raise InputError(f"--on {name}", f"one of {', '.join(CLUSTERS)}", "Choose one, or give --mesh alone")
    return found


def _meshes(cluster: Cluster | None, mesh: str | None) -> list[dict[str, int]]:
    if mesh is not None:
        axes = parse_mesh(mesh)
        if cluster is not None and axes[DATA] * axes[MODEL] != cluster.chips:
            raise InputError(f"--mesh {mesh}", f"the {cluster.chips} chips of the cluster", "Change --mesh or --on")
        return [axes]
    chips = 1 if cluster is None else cluster.chips
    return [{DATA: chips // m, MODEL: m} for m in range(1, chips + 1) if chips % m == 0]


def _table(rows: list[Row], cluster: Cluster | None) -> list[str]:
    head = ["mesh", "weights", "keys, values", "working memory", "together"]
    lines = [head + ([] if cluster is None else [f"of {cluster.memory_gb} GB"])]
    for row in rows:
        line = [f"data={row.axes[DATA]},model={row.axes[MODEL]}", _size(row.plan.weight_bytes)]
        line += [_size(row.plan.cache_bytes), _size(row.plan.temporary_bytes), _size(row.together)]
        lines.append(line + ([] if cluster is None else [f"{row.together / (cluster.memory_gb * 1e7):.0f} %"]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["each device:", *("  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in lines)]


def _verdict(config: ModelConfig, rows: list[Row], on: str | None, cluster: Cluster | None) -> list[str]:
    """The mesh with most data parallelism that fits, and what does not divide on it."""
    chosen = rows[0]
    lines = []
    if cluster is not None:
        fitting = [row for row in rows if row.together <= USABLE * cluster.memory_gb * 1e9]
        if not fitting:
            return [f"does not fit on {on} within {USABLE:.0%} of its memory; use more chips or a smaller dtype"]
        chosen = fitting[0]
        lines.append(f"fits on {on}: --mesh data={chosen.axes[DATA]},model={chosen.axes[MODEL]}")
    whole = held_whole(config, chosen.axes[MODEL])
    if whole:
        lines.append("held whole by every device there: " + "; ".join(f"{path} ({why})" for path, why in whole.items()))
    return lines


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return "not known here"
    power = next(p for p in (3, 2, 1, 0) if num_bytes >= 1024**p or p == 0)
    return f"{num_bytes / 1024**power:,.4g} {('B', 'KiB', 'MiB', 'GiB')[power]}"


def _config(name: str) -> ModelConfig:
    known = {key.lower(): value for key, value in PUBLIC_CONFIGS.items()}
    if name.lower() in known:
        return known[name.lower()]
    path = Path(name).expanduser()
    path = path / "config.json" if path.is_dir() else path
    if path.suffix == ".json" and path.is_file():
        return read_config(path)
    raise InputError(
        f"plan {name}, where there is no config.json",
        f"one of {', '.join(PUBLIC_CONFIGS)}, or a folder with config.json",
        "Choose one of these",
    )
