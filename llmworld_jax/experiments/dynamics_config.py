"""What a dynamics run is asked to do. Imports nothing heavy, so that the command line answers at once."""

from dataclasses import dataclass
from typing import Literal

from ..errors import InputError
from ..start import parse_start
from .dtypes import check_dtype

DEFAULT_SYSTEMS = ("noisy_logistic_map", "logistic_map", "brownian_motion", "markov_chain_low_entropy")
SUITES: dict[str, tuple[str, ...]] = {
    "paper": (
        *("iid_gaussian", "iid_uniform", "correlated_gaussian", "brownian_motion"),
        *("geometric_brownian_motion_published", "geometric_brownian_motion", "noisy_logistic_map", "logistic_map"),
        *("lorenz", "markov_chain", "markov_chain_low_entropy"),
    ),
    "new": ("ornstein_uhlenbeck", "ar2", "double_well", "henon", "rossler", "damped_pendulum"),
}
"""Systems that are run together: those of arXiv 2402.00795 (and two variants), and those that it does not have."""
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class DynamicsConfig:
    """What to simulate and how the model reads it.

    Attributes:
        system: names in ``systems.SYSTEMS``, ``markov_chain_N``, or ``dysts:NAME`` where that collection is installed.
        steps: items of each series.
        seeds: independent series of each system.
        precision: digits of each number (chains: one symbol an item, whatever this says).
        model: a name of ``llmworld models list``, a Hugging Face folder, a .gguf file, or a hub repository org/name.
        start_token: put before the series: ``none``, ``bos`` or a token id.
        separator: between items.
        window: of the moving average; chains use twice this.
        seed: of the first series; the k-th uses ``seed + k``.
        truth: the law that is scored against: ``latent`` (given the state itself) or ``given_quantised_past`` (given
            the digits that were written of it).
        sparse_nulls: also the nulls that are dear: a neural AR(1), a shuffled context, a model of random weights.
        batch: series read together, by each device of a mesh's ``data`` axis.
        dtype: of weights and activations: ``float32``, ``bfloat16`` or ``int8`` (weights only). What it changes in
            the laws is measured in the run and printed, if float32 finds room too.
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
    truth: Literal["latent", "given_quantised_past"] = "latent"
    sparse_nulls: bool = True
    batch: int = 4
    dtype: str = "float32"

    def check(self) -> "DynamicsConfig":
        """Itself, or an InputError that says what cannot be run."""
        _check_systems(self.system)
        if len(set(self.system)) < len(self.system):
            raise InputError(f"--system {' '.join(self.system)}", "each system once", "Raise --seeds for more series")
        smoothed = 2 * self.window
        for name, value, least in (
            ("--seeds", self.seeds, 1),
            ("--window", self.window, 1),
            ("--batch", self.batch, 1),
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
        check_dtype(self.dtype)
        parse_start(self.start_token)
        return self


def _check_systems(names: tuple[str, ...]) -> None:
    from systems import SYSTEMS, system_named

    choices = f"one or more of {', '.join((*SYSTEMS, 'markov_chain_N', 'dysts:NAME'))}"
    unknown = []
    for name in names:
        try:
            system_named(name)
        except ValueError as error:
            if isinstance(error.__cause__, ModuleNotFoundError):
                remedy = "Run `python3 -m pip install --no-deps dysts`, or choose another system"
                raise InputError(f"system {name}", "the collection dysts to be installed", remedy) from None
            unknown.append(name)
    if unknown or not names:
        raise InputError(f"system {', '.join(unknown) or '(none)'}", choices, "Choose from these")


def systems_of_suite(name: str) -> tuple[str, ...]:
    """The systems that ``--suite`` stands for. Raises InputError for an unknown name."""
    from systems import SYSTEMS

    if name == "all":
        return tuple(SYSTEMS)
    if name not in SUITES:
        raise InputError(f"--suite {name}", f"one of {', '.join((*SUITES, 'all'))}", "Choose one of these")
    return SUITES[name]
