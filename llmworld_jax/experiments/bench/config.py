"""What `llmworld bench` is asked for. Imports nothing heavy, so that the command line answers at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import InputError

DEFAULT_MODEL = "smollm2-135m-instruct"
LEAST_REPEATS = 3
_AT_LEAST = {"context": 16, "batch": 1, "states": 1, "rows": 1, "repeats": LEAST_REPEATS}


@dataclass(frozen=True)
class BenchConfig:
    """Speed of one model on this device: matrix products, reading, laws, activations, gradients; beside torch."""

    model: str = DEFAULT_MODEL
    """A name of `llmworld models`, a folder, a GGUF file or a hub repository."""
    shape: str | None = None
    """In the place of --model: random weights of this published shape, ``llama-2-7b`` say, made on the device."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of weights and activations."""
    attention: str = "reference"
    """What reads a sequence: ``reference``, ``cudnn`` (GPU), ``splash`` (TPU), ``xla``, or ``auto``."""
    context: int | None = None
    """Tokens of a sequence; by default 4096 on an accelerator and 512 on a CPU, or what the model holds if less."""
    batch: int = 1
    """Sequences of the prefill."""
    states: int | None = None
    """States of one sequence whose laws are read, evenly spaced; by default 1000 on an accelerator, 12 on a CPU."""
    digits: int = 3
    """Digits of a number, each a token."""
    rows: int | None = None
    """Tree nodes evaluated together; by default the library's own number."""
    repeats: int = LEAST_REPEATS
    """Rounds, in each of which everything is timed once, ours and theirs in turn."""
    peer: bool = True
    """Hugging Face torch in the same process, where torch is installed."""
    out: Path | None = None
    """Folder for ``bench.md`` and ``bench.json``."""

    def check(self) -> "BenchConfig":
        """The configuration itself. Raises InputError for what can be seen to be wrong without a model."""
        for name, low in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"--{name} {value}", f"{low} or more", "Raise it")
        if not 2 <= self.digits <= 4:
            raise InputError(f"--digits {self.digits}", "2 to 4, so that there is a tree", "Choose another number")
        if self.dtype not in ("float32", "bfloat16"):
            raise InputError(f"--dtype {self.dtype}", "float32 or bfloat16", "Choose one of these")
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise InputError(f"--out {self.out}, which is a file", "a folder", "Choose another")
        if self.shape is not None:
            self._check_shape(self.shape)
        return self

    def _check_shape(self, shape: str) -> None:
        from ...models.public_configs import PUBLIC_CONFIGS

        if self.model != DEFAULT_MODEL:
            raise InputError("--shape and --model", "one of them", "Leave one out")
        if shape.lower() not in PUBLIC_CONFIGS:
            raise InputError(f"--shape {shape}", f"one of {', '.join(PUBLIC_CONFIGS)}", "Choose one of these")
