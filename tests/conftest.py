"""A small random Llama for identity tests.

llmworld_jax is imported inside the fixture, because jaxtyping's checker must be installed first.
"""

import fcntl
import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

# Most of a test's time goes into the compiler, and on jax 0.10 much of that into this part of it; later versions do
# not know the flag. Programs of processes that tests start are compiled in the same way.
if jax.__version_info__ < (0, 11):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false".strip()

# Devices of a mesh; whatever is not laid out on one runs on the first, as without them.
jax.config.update("jax_num_cpu_devices", 8)

MOST_MAPS = 25_000
CONTRACTS = "test_contract.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--first-of-each", action="store_true", help="of each test the first parameters; contracts whole")
    parser.addoption("--every", action="store_true", help="also the runs of which CI makes one of a kind")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A further interpreter has to show that the code runs there; other parameters tell of the mathematics."""
    if not config.getoption("--every"):
        left = [item for item in items if item.get_closest_marker("every") is not None]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    if not config.getoption("--first-of-each"):
        return
    seen: set[str] = set()
    kept, left = [], []
    for item in items:
        function = item.nodeid.split("[", 1)[0]
        (left if function in seen and item.path.name != CONTRACTS else kept).append(item)
        seen.add(function)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(autouse=True)
def _cheap_compilation(request: pytest.FixtureRequest):
    """Tiny models spend their time in the compiler. Programs of the real model are optimised, as a user's are."""
    name = "jax_disable_most_optimizations"
    before = jax.config.values[name]
    if request.node.get_closest_marker("model") is None:
        jax.config.update(name, True)
    yield
    jax.config.update(name, before)


@pytest.fixture(autouse=True, scope="module")
def _few_memory_maps():
    """Every compiled program of the CPU holds some memory maps; at the kernel's 65,530 a process is killed."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="session")
def shared_by_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run of the tests that every worker sees."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def made_once(shared_by_workers: Path) -> Callable[[str, Callable[[Path], None]], Path]:
    """``made_once(name, make)``: the folder that ``make`` filled, in whichever worker asked first."""

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder = shared_by_workers / name
        with (shared_by_workers / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "whole").exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a failure left
                folder.mkdir()
                make(folder)
                (folder / "whole").touch()
        return folder

    return made


@pytest.fixture(scope="session")
def tiny_llama() -> Callable:
    """``tiny_llama(seed=0, dtype=float32, **changes of the config)``, filled by numpy: nothing is compiled."""
    from llmworld_jax.models.config import ModelConfig
    from llmworld_jax.models.llama import Llama

    def build(seed: int = 0, dtype=jnp.float32, **changes):
        settings = dict(
            family="llama", vocab_size=40, d_model=32, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8,
            d_mlp=48, norm_eps=1e-5, rope_theta=1e4, rope_scaling=None, tied=True, max_positions=1024,
        )  # fmt: skip
        config, rng = ModelConfig(**settings | changes), np.random.default_rng(seed)
        abstract = jax.eval_shape(lambda: Llama(config, key=jax.random.key(0), dtype=jnp.dtype(dtype)))

        def fill(path, leaf):
            name, noise = jax.tree_util.keystr(path), rng.normal(size=leaf.shape)
            if "norm" in name:  # weights of one would hide a norm whose weight is not used
                w = 1 + 0.3 * noise
            elif "embed" in name:  # with unit weights a tied model is nearly certain of the next token
                w = 0.3 * noise
            else:  # with unit queries attention is nearly uniform
                w = noise * leaf.shape[-2] ** -0.5 * (3 if ".q" in name or "'q'" in name else 1)
            return jnp.asarray(w.astype(leaf.dtype))

        return jax.tree_util.tree_map_with_path(fill, abstract)

    return build
