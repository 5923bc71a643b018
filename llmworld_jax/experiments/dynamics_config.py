"""What a dynamics run is asked to do. Imports nothing heavy, so that the command line answers at once."""

from dataclasses import dataclass

from ..errors import InputError
from ..start import parse_start

DEFAULT_SYSTEMS = ("noisy_logistic_map", "logistic_map", "brownian_motion", "markov_chain_low_entropy")
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class DynamicsConfig:
    """What to simulate and how the model reads it.

    Attributes:
        system: names in ``systems.SYSTEMS``.
        steps: items of each series.
        seeds: independent series of each system.
        precision: digits of each number (chains: one symbol an item, whatever this says).
        model: a name of ``llmworld models list``, a Hugging Face folder, a .gguf file, or a hub repository org/name.
        start_token: put before the series: ``none``, ``bos`` or a token id.
        separator: between items.
        window: of the moving average; chains use twice this.
        seed: of the first series; the k-th uses ``seed + k``.
    """

    system: tuple[str, ...] = DEFAULT_SYSTEMS
    steps: int = 400
    seeds: int = 3
    precision: int = 2
    model: str = "smollm2-135m-instruct"
    start_token: str = "none"
    separator: str = ","
    window: int = 10
    seed: int = 0

    def check(self) -> "DynamicsConfig":
        """Itself, or an InputError that says what cannot be run."""
        from systems import SYSTEMS

        unknown = [name for name in self.system if name not in SYSTEMS]
        if unknown or not self.system:
            raise InputError(
                f"system {', '.join(unknown) or '(none)'}", f"one or more of {', '.join(SYSTEMS)}", "Choose from these"
            )
        if len(set(self.system)) < len(self.system):
            raise InputError(f"--system {' '.join(self.system)}", "each system once", "Raise --seeds for more series")
        smoothed = 2 * self.window
        for name, value, least in (
            ("--seeds", self.seeds, 1),
            ("--window", self.window, 1),
            ("--steps", self.steps, max(50, 2 * smoothed)),
        ):
            if value < least:
                raise InputError(f"{name} {value}", f"at least {least}", f"Raise {name}")
        if not 1 <= self.precision <= 4:
            raise InputError(
                f"--precision {self.precision}", "1 to 4 digits", "Choose fewer: a law has 10**precision bins"
            )
        if not 0 <= self.seed <= _LARGEST_SEED - self.seeds:
            raise InputError(f"--seed {self.seed}", f"0 to {_LARGEST_SEED - self.seeds}", "Choose another --seed")
        parse_start(self.start_token)
        return self
