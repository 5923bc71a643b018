"""Several processes that run one program together: who writes, what is agreed on, what happens when one is gone.

Each computes what its devices hold, and all know every result. Files are written by the first, into a folder that all
can reach; of activations, which are large, each writes its share. A decision that follows from a file's being there
must be the same everywhere, or one process waits for ever for the others: the first one's word counts. Without
``join`` nothing here does anything, and no device is touched.
"""

import functools
import re
import sys

import numpy as np

from .errors import InputError

AUTO = "auto"
WAIT_SECONDS = 300
_PLACE = re.compile(r"(?P<address>[^,\s]+:\d+),(?P<count>\d+),(?P<id>\d+)")


def join(hosts: str | None) -> None:
    """Become one of the processes of a run; to be called before any device is used.

    Args:
        hosts: ``"auto"`` where the cluster tells (TPU pods, SLURM, Open MPI, Kubernetes), or
            ``address:port,count,id`` of the first process, of how many, which this is; ``None`` for a run alone.

    Raises:
        InputError: another text; or no cluster, or the others did not come within five minutes.
    """
    if hosts is None:
        return
    found = _PLACE.fullmatch(hosts)
    if hosts != AUTO and (found is None or not int(found["id"]) < int(found["count"])):
        raise InputError(
            f"--hosts {hosts}",
            "auto, or address:port,count,id with the id from 0 to count - 1",
            "For example --hosts 10.0.0.1:9876,2,0 on the first of two machines, and ...,2,1 on the second",
        )
    import jax

    begin = functools.partial(jax.distributed.initialize, initialization_timeout=WAIT_SECONDS)
    try:
        if found is None:
            begin()
        else:
            address, count, this = found.groups()
            begin(address, int(count), int(this), cluster_detection_method="deactivate")
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"--hosts {hosts}, which came to nothing ({_first_line(error)})",
            "a cluster that names its processes, or all of them started within five minutes",
            "Start the same command on every host; or give --hosts address:port,count,id",
        ) from error


def several() -> bool:
    """Whether this is one of several processes."""
    jax = sys.modules.get("jax")  # who has not imported it has joined nothing
    return jax is not None and jax.distributed.is_initialized() and jax.process_count() > 1


def is_first() -> bool:
    """Whether this process writes the files and speaks; true of a process alone."""
    return place()[0] == 0


def place() -> tuple[int, int]:
    """Which of how many processes this is, from 0: (0, 1) of a process alone."""
    if not several():
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def agreed(value: bool) -> bool:
    """What the first process says, whatever ``value`` is here; all must ask."""
    if not several():
        return value
    from jax.experimental import multihost_utils

    return bool(multihost_utils.broadcast_one_to_all(np.asarray(value)))


def wait_for_all(name: str) -> None:
    """Go on when every process has come to the point of this name."""
    if several():
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def lost(error: BaseException) -> str | None:
    """What to tell the user when ``error`` is that another process is gone; ``None`` if it is something else."""
    if not several():
        return None
    import jax

    if not isinstance(error, jax.errors.JaxRuntimeError):
        return None
    here, count = place()
    return (
        f"process {here} of {count} lost another one ({_first_line(error)}). Finished parts are kept: start the same "
        "command on every host again and it goes on from there"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
