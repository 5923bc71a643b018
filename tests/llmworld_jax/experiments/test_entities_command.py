"""What ``llmworld entities`` says, against the tables themselves."""

import functools

import pytest

from llmworld_jax.entities.sources import ENTITIES, PAPER_FILES, load_entities
from llmworld_jax.experiments import entities_command

loaded = functools.cache(load_entities)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entities_command, "load_entities", loaded)
        return entities_command.listing()


def test_a_line_for_every_table(lines):
    header, *rows = lines[: 1 + len(ENTITIES)]
    assert header.split() == ["name", "entities", "targets", "groups", "source", "licence"]
    for name, row in zip(ENTITIES, rows):
        table = loaded(name)
        assert row.split()[:2] == [name, f"{len(table):,}"]
        assert all(word in row for word in (*table.target_names, *table.groups, table.source))
        assert row.endswith(table.licence)
        assert row.index(table.source) == header.index("source")


def test_every_fault_is_told(lines):
    for name, source in ENTITIES.items():
        at = lines.index(f"known faults of {name}:")
        assert tuple(line.strip() for line in lines[at + 1 : at + 1 + len(source.faults)]) == source.faults


def test_what_else_can_be_read(lines):
    text = "\n".join(lines)
    assert all(f"{stem}.csv" in text for stem in PAPER_FILES)
    assert "LICENCES.md" in text
