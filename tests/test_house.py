"""The house rules that no linter knows: what is shipped, what an import does, who may be called ``systems``."""

import ast
import inspect
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("llmworld_jax", "systems", "analyses")
TABLES = ROOT / "llmworld_jax" / "entities" / "tables"
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
HEAVY = ("matplotlib", "transformers", "torch", "gguf", "huggingface_hub")
IMPORT_ALL = f"""
import importlib, pkgutil, sys
for name in {PACKAGES}:
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def python(code: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ | environment, check=False)


def make_foreign(folder: Path, name: str) -> Path:
    """Another distribution's package of this name."""
    package = folder / name / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("import sys; sys.stderr.write('foreign code ran')")
    return package


def copy_of_the_packages(folder: Path) -> Path:
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_import_touches_no_backend_no_setting_and_nothing_heavy(tmp_path):
    """Where no backend can start, every module imports; only then is a device asked for, and not found."""
    code = f"""
import jax
before = dict(jax.config.values)
{IMPORT_ALL}
assert jax.config.values == before
print([name for name in {HEAVY} if name in sys.modules], flush=True)
jax.devices()
"""
    done = python(code, tmp_path, JAX_PLATFORMS="no_such_platform", PYTHONPATH=str(ROOT))
    assert done.stdout == "[]\n", done.stderr
    assert "no_such_platform" in done.stderr


@pytest.mark.parametrize("name", ["systems", "analyses"])
def test_guard_names_a_foreign_package_that_comes_first(tmp_path, name):
    foreign = make_foreign(tmp_path, name)
    path = os.pathsep.join(map(str, (tmp_path, ROOT)))
    done = python("import llmworld_jax.experiments", tmp_path / name, PYTHONPATH=path)
    said = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert said.startswith("ImportError: Got")
    assert all(part in said for part in (repr(name), str(foreign), str(ROOT / name), f"pip uninstall {name}"))
    assert "foreign code ran" not in done.stderr


@pytest.mark.parametrize("name", ["systems", "analyses"])
def test_guard_notices_a_package_installed_over_ours(tmp_path, name):
    home = copy_of_the_packages(tmp_path / "site")
    whole = python("import llmworld_jax.experiments as e; print(e.__file__)", tmp_path, PYTHONPATH=str(home))
    assert whole.returncode == 0, whole.stderr
    assert Path(whole.stdout.strip()).is_relative_to(home)
    shutil.rmtree(home / name)
    foreign = make_foreign(home, name)
    done = python("import llmworld_jax.experiments", tmp_path, PYTHONPATH=str(home))
    assert done.returncode == 1
    assert str(foreign) in done.stderr.splitlines()[-1]
    assert f"pip uninstall {name}" in done.stderr.splitlines()[-1]


def test_guard_names_a_missing_package(tmp_path):
    """Without site-packages' editable path to the checkout, ``systems`` is nowhere."""
    home = copy_of_the_packages(tmp_path / "site")
    shutil.rmtree(home / "systems")
    code = "import sys; sys.path[:] = [p for p in sys.path if p != sys.argv[1]]\nimport llmworld_jax.experiments"
    command = [sys.executable, "-c", code, str(ROOT)]
    environment = os.environ | {"PYTHONPATH": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 1
    assert "Got 'systems' from None" in done.stderr.splitlines()[-1]


def test_the_wheel_holds_the_packages_and_nothing_else(tmp_path):
    pytest.importorskip("hatchling")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    built = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    with zipfile.ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        names = set(wheel.namelist())
    information = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    tables = {path for path in names if path.startswith("llmworld_jax/entities/tables/")}
    assert {Path(path).name for path in tables} == {path.name for path in TABLES.iterdir()}
    assert names - information - tables == {path.relative_to(ROOT).as_posix() for path in SOURCES} | {
        f"{name}/py.typed" for name in PACKAGES
    }
    assert {name.split("/", 1)[1] for name in information} >= {"METADATA", "entry_points.txt", "licenses/LICENSE"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_is_one_idea_and_its_imports_say_whose_it_is(path):
    """At most 250 lines, 60 a function; inside a package imports are relative."""
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 250
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert {n.name: n.end_lineno - n.lineno + 1 for n in functions if n.end_lineno - n.lineno >= 60} == {}
    own = path.relative_to(ROOT).parts[0]
    absolute = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level == 0]
    absolute += [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    assert [name for name in absolute if name.split(".")[0] == own] == []


def test_every_public_name_has_a_docstring():
    import analyses
    import llmworld_jax
    import systems

    packages = (llmworld_jax, systems, analyses)
    public = {f"{m.__name__}.{name}": getattr(m, name) for m in packages for name in m.__all__}
    described = {name for name, value in public.items() if not callable(value) or value.__doc__ is not None}
    assert public.keys() == described
    own = {n for n, v in public.items() if inspect.isclass(v) and v.__doc__.startswith(f"{v.__name__}(")}
    assert own == set(), "a NamedTuple or dataclass without a docstring of its own"


def test_the_readme_names_every_system():
    from systems import SYSTEMS

    readme = (ROOT / "README.md").read_text()
    assert [name for name in SYSTEMS if f"`{name}`" not in readme] == []


def test_the_readme_gives_the_two_commands():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert any(line.startswith("python3 -m pip install -e . && llmworld dynamics") for line in lines)
    assert sum('".[test]"' in line and "pytest" in line for line in lines) == 1
