"""Accelerators that researchers have, with the memory of each chip as their makers publish it."""

from typing import NamedTuple


class Cluster(NamedTuple):
    """Chips that one run uses together, as JAX counts devices; memory in bytes of 10**9 for each."""

    chips: int
    memory_gb: int
    chip: str


CLUSTERS: dict[str, Cluster] = {
    # A v5p or v4 is named after its cores, two a chip; a v5e or v6e after its chips.
    "v4-8": Cluster(4, 32, "TPU v4"),
    "v5e-8": Cluster(8, 16, "TPU v5e"),
    "v5e-16": Cluster(16, 16, "TPU v5e"),
    "v5p-8": Cluster(4, 95, "TPU v5p"),
    "v5p-16": Cluster(8, 95, "TPU v5p"),
    "v6e-8": Cluster(8, 32, "TPU v6e"),
    "v6e-16": Cluster(16, 32, "TPU v6e"),
    "a100": Cluster(1, 80, "A100"),
    "8xa100": Cluster(8, 80, "A100"),
    "h100": Cluster(1, 80, "H100"),
    "8xh100": Cluster(8, 80, "H100"),
    "8xh200": Cluster(8, 141, "H200"),
}
"""By the name that a user of a cloud or a machine room knows."""
