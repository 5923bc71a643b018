"""Small tables and CSV files. llmworld_jax is imported inside the fixtures, because jaxtyping's checker comes first."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def make_table() -> Callable:
    """``make_table(texts, **changes)``: places on a line, one after the other."""
    from llmworld_jax.entities.table import EntityTable

    def make(texts, **changes) -> EntityTable:
        count = len(texts)
        fields = dict(
            key="towns",
            names=tuple(texts),
            texts=tuple(texts),
            targets=np.stack([np.linspace(-180, 180, count), np.linspace(90, -90, count)], 1),
            target_names=("longitude", "latitude"),
            units=("degrees", "degrees"),
            kind="place",
            groups={},
            held_out=None,
            rows=np.arange(2, count + 2),
            source="made up",
            licence="none",
        )
        return EntityTable(**fields | changes)

    return make


@pytest.fixture
def write_csv(tmp_path) -> Callable[..., Path]:
    """``write_csv(rows, name="towns.csv")``: dictionaries of text to a file."""

    def write(rows: list[dict], name: str = "towns.csv") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def towns() -> list[dict]:
    """Sixty good rows: a name, a place, a year, a country."""
    return [
        {
            "name": f"Town {i}",
            "latitude": f"{i - 30}",
            "longitude": f"{3 * i}",
            "year": f"{1900 + i}",
            "land": "AB"[i % 2],
        }
        for i in range(60)
    ]
