"""A model on the devices that a command names, with a word on what went where."""

from collections.abc import Callable

import jax

from ..models.catalogue import LoadedModel, load
from ..models.mesh import make_mesh, parse_mesh
from ..models.sharding import DATA, MODEL
from ..processes import several


def placed_model(model: str, dtype: str, mesh: str | None, attention: str, say: Callable[[str], None]) -> LoadedModel:
    """Load ``model`` onto ``mesh`` (``data=N,model=M``); for several processes by default all devices along data."""
    sizes = None if mesh is None else parse_mesh(mesh)
    if sizes is None and several():
        sizes = {DATA: jax.device_count(), MODEL: 1}
    devices = None if sizes is None else make_mesh(sizes)
    loaded = load(model, dtype=dtype, mesh=devices, attention=attention, progress=_tenths(say))
    if devices is not None:
        facts = loaded.provenance["mesh"]
        axes = ", ".join(f"{axis} {size}" for axis, size in facts["axes"].items())
        say(f"mesh: {axes}; {facts['devices']}, {facts['processes']} processes")
        if facts["held_whole"]:
            whole = "; ".join(f"{path} ({why})" for path, why in facts["held_whole"].items())
            say(f"held whole by every device, since it does not divide: {whole}")
    if loaded.config.attention != "reference":
        say(f"attention: {loaded.config.attention}")
    return loaded


def _tenths(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """Progress of a large model at every tenth; a small one is there before it is said."""
    said = [0]

    def progress(done: int, total: int) -> None:
        if total >= 2**31 and 10 * done // total > said[0]:
            said[0] = 10 * done // total
            say(f"weights: {done / 2**30:.1f} of {total / 2**30:.1f} GiB of this process")

    return progress
