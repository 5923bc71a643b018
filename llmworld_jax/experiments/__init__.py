"""The only place where the three packages meet: a world, a model that reads it, and the numbers compared."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def _require_ours(name: str, landmark: str) -> None:
    """Raises ImportError unless ``name`` lies beside llmworld_jax and holds ``landmark``.

    Other distributions use these names too: one can come first on the path, or be installed over ours.
    """
    expected = Path(__file__).resolve().parents[2] / name / "__init__.py"
    spec = find_spec(name)
    found = Path(spec.origin).resolve() if spec and spec.origin else None
    if found != expected or not hasattr(import_module(name), landmark):
        raise ImportError(
            f"Got {name!r} from {found}. Expected the package that comes with llmworld_jax, {expected}. "
            f"If that is a file of your own, rename it or work in another folder; if it is a distribution, run "
            f"`python3 -m pip uninstall {name}`; then install llmworld_jax again with `--force-reinstall`."
        )


_require_ours("systems", "SYSTEMS")
_require_ours("analyses", "bhattacharyya_distance")
