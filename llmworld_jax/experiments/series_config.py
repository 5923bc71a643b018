"""How a user's series is read and written for the model. Imports nothing heavy, as ``dynamics_config``."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..start import parse_start


@dataclass(frozen=True)
class LawsConfig:
    """How a series is read from a file and written for the model.

    Attributes:
        series: a text file with a column of numbers.
        column: its header or place; may be left out when there is only one.
        precision: digits of each number, 1 to 4.
        low: value of the lowest number of the grid; with ``high``, numbers are written as given in that range.
        high: end of the grid, not itself on it.
        warmup: without low and high, rescale by the first ``warmup`` values only (causal), instead of by the
            whole series (which lets the grid know the range of the future).
        model: a name of ``llmworld models list``, a Hugging Face folder, a .gguf file, or a hub repository org/name.
        start_token: put before the series: ``none``, ``bos`` or a token id.
        separator: between numbers.
        out: where the arrays go; a picture (.png) and the provenance (.json) go beside it.
        horizon: also continue the series by so many values (0: not); arrays and a picture of that go beside ``out``.
        paths: sampled continuations, whose bands are drawn.
        seed: of the sampling.
        temperature: of the sampling, of the law of the whole number.
        hold_out: hide the last ``horizon`` values from the model and the grid, and score the continuation by them.
    """

    series: Path
    column: str | None = None
    precision: int = 2
    low: float | None = None
    high: float | None = None
    warmup: int | None = None
    model: str = "smollm2-135m-instruct"
    start_token: str = "none"
    separator: str = ","
    out: Path = Path("laws.npz")
    horizon: int = 0
    paths: int = 50
    seed: int = 0
    temperature: float = 1.0
    hold_out: bool = False

    def check(self) -> "LawsConfig":
        """Itself, or an InputError that says what cannot be run."""
        if not 1 <= self.precision <= 4:
            raise InputError(f"--precision {self.precision}", "1 to 4 digits", "Choose fewer digits")
        if (self.low is None) != (self.high is None):
            given = "--low" if self.high is None else "--high"
            raise InputError(f"only {given}", "both --low and --high, or neither", "Give the other as well")
        if self.low is not None and self.warmup is not None:
            raise InputError("--warmup with --low and --high", "one way to choose the range", "Drop one of them")
        if self.out.suffix != ".npz":
            raise InputError(f"--out {self.out}", "a file name that ends in .npz", "Add the ending")
        for name, value, fits, expected in (
            ("--horizon", self.horizon, self.horizon >= 0, "0 or more values"),
            ("--paths", self.paths, self.paths >= 2, "at least 2 paths"),
            ("--temperature", self.temperature, 0 < self.temperature < float("inf"), "a positive number"),
            ("--seed", self.seed, 0 <= self.seed < 2**32, f"0 to {2**32 - 1}"),
        ):
            if not fits:
                raise InputError(f"{name} {value}", expected, f"Choose another {name}")
        if self.hold_out and not self.horizon:
            raise InputError("--hold-out without --horizon", "the number of values to hide", "Give --horizon N")
        parse_start(self.start_token)
        return self
