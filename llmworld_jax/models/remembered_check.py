"""Agreement with torch at load: found out once for each set of weights, then remembered in the cache."""

from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from ..content import content_hash
from ..errors import InputError
from ..files import read_json, write_json
from ..processes import several
from ..provenance import package_version
from .cache import cache_root
from .llama import Llama
from .mesh import mesh_of
from .self_check import Check, check_against_torch, no_torch, too_large
from .storage import storage_of


def check_once(folder: Path, model: Llama, weights: Mapping[str, str | None]) -> str | None:
    """``self_check.check_against_torch`` of a model that was just loaded: a line for the record, or ``None``.

    Only where torch is installed, of a model in float32 that lies on one device: rounding to fewer bits tells too
    little, and torch reads the whole of the weights. It is done again when the weights, jax, torch or this package
    change; that torch could not run the model is remembered too.

    Args:
        weights: what identifies them (``catalogue.identity``).

    Raises:
        InputError: the logits differ too much.
    """
    if storage_of(model) != "float32" or mesh_of(model) is not None or several():
        return None
    if find_spec("torch") is None or too_large(model.config) is not None:
        return None
    versions = {name: package_version(name) for name in ("jax", "torch", "transformers", "llmworld_jax")}
    content = content_hash({"weights": weights, "config": model.config, "versions": versions})
    path = cache_root() / "checked" / f"{content}.json"
    with suppress(InputError, KeyError, TypeError):  # not there, or damaged
        return read_json(path)["line"]
    if no_torch() is not None:  # it is there and cannot be imported, which may be mended
        return None
    found = check_against_torch(folder, model)
    line = found.line if isinstance(found, Check) else None
    with suppress(InputError, OSError):  # a cache that cannot be written to: it is found out again the next time
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"line": line})
    return line
