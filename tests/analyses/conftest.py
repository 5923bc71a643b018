"""Laws on grids for the property tests, and the published outputs when they lie beside the checkout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "llama2_13b"


@pytest.fixture(scope="session")
def reference() -> Callable[[str], dict[str, np.ndarray]]:
    """Reads one file of LLaMA-2-13B outputs; the test is skipped where they are not available."""

    def read(name: str) -> dict[str, np.ndarray]:
        path = REFERENCE / f"{name}.npz"
        if not path.exists():
            pytest.skip(f"no {path.name} beside the checkout")
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}

    return read
