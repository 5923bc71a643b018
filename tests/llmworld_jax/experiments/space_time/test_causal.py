"""The whole causal part of a dataset with a tiny model: what is run, what is said, what is drawn."""

import jax
import numpy as np
import pytest

from llmworld_jax.entities.table import EntityTable
from llmworld_jax.experiments.space_time.causal import SCALES, Scale, causal_of, leading_span
from llmworld_jax.report import Figure, Paragraph, Report, Section, Table, Verdict, render

pytestmark = pytest.mark.slow  # one interpreter is enough

RANDOM = np.random.default_rng(5)
WIDTH, LAYERS, COUNT = 32, 2, 60
LETTERS = "abcdefghijklmnopqrstuvw"


def table_of(key: str, kind: str = "time") -> EntityTable:
    names = tuple("".join(RANDOM.choice(list(LETTERS), 2)) for _ in range(COUNT))
    years = RANDOM.integers(1000, 2000, (COUNT, 1)).astype(np.float64)
    return EntityTable(
        key=key, names=names, texts=names, targets=years, target_names=("death_year",), units=("years",), kind=kind,
        groups={}, held_out=None, rows=np.arange(COUNT) + 2, source="made up", licence="",
    )  # fmt: skip


@pytest.fixture(scope="module")
def directions():
    return RANDOM.normal(size=(LAYERS + 1, WIDTH, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def rows():
    return RANDOM.normal(size=(LAYERS + 1, COUNT, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def people():
    return table_of("historical_figures")


@pytest.fixture(scope="module")
def found(loaded, people, directions, rows, compiled_as_in_tests):
    with compiled_as_in_tests():
        return causal_of(loaded, people, directions, rows, neuron=(1, 7), start="bos")


@pytest.fixture(scope="module")
def drawn(found, tmp_path_factory):
    from llmworld_jax.experiments.report_pictures import Pictures
    from llmworld_jax.experiments.space_time.causal_section import causal_section

    folder = tmp_path_factory.mktemp("causal")
    return causal_section(found, Pictures(folder)), folder / "figures"


def test_the_short_run_has_every_part_once(found, directions):
    size = SCALES["short"]
    assert len(found.certificates) == 1
    (c,) = found.certificates
    assert c.score.shape == (1 + size.random, len(size.doses), size.entities)
    assert sum(kind == "random" for kind in c.kinds) == 10
    assert c.sd == pytest.approx(float(found.table.targets.std()))
    assert c.length == pytest.approx(1 / np.linalg.norm(directions[c.block + 1]), rel=1e-4)
    assert found.profile.block.tolist() == [0, 1]
    assert found.pins.score.shape == (10, 4, size.pinned, 1)
    assert found.ablation.increase.shape[0] == 10
    assert 7 not in found.random
    assert -1 <= found.rho <= 1
    assert {part.name for part in found.parts} == {"up", "gate", "down", "V", "O", "Q", "K", "embedding", "unembedding"}
    assert all(word for _, word in found.words)


def test_the_read_out_of_the_step_is_the_dose_where_it_is_made(found):
    c = found.certificates[0]
    np.testing.assert_allclose(c.read_out[0, :, c.block, 0], c.doses, atol=1e-3)


def test_a_run_repeats_to_the_last_bit_and_a_seed_draws_others(loaded, people, directions, rows, found, monkeypatch):
    again = causal_of(loaded, people, directions, rows, neuron=(1, 7), start="bos")
    jax.tree.map(np.testing.assert_array_equal, again.certificates[0].score, found.certificates[0].score)
    np.testing.assert_array_equal(again.pins.score, found.pins.score)
    monkeypatch.setitem(SCALES, "short", Scale(12, 4, (-1.0, 0.0, 1.0), 0, 1, 2, 2, 2, 13))
    other = causal_of(loaded, people, directions, rows, start="bos", seed=1)
    assert other.prompts.entities.tolist() != found.prompts.entities.tolist()
    assert other.pins is other.ablation is None


def test_the_thorough_run_tests_every_few_blocks(loaded, people, directions, monkeypatch):
    monkeypatch.setitem(SCALES, "thorough", Scale(3, 4, (-1.0, 0.0, 1.0), 1, 2, 2, 2, 2, 13))
    said = []
    many = causal_of(loaded, people, directions, start="bos", scale="thorough", progress=said.append)
    assert [c.block for c in many.certificates] == [0, 1]
    assert all(set(c.kinds[1:]) == {"random"} for c in many.certificates), "without rows there is no span"
    assert np.isnan(many.distance).all()
    assert [line.split(": ")[1] for line in said] == [
        "death_year moved after block 0", "death_year moved after block 1", "death_year moved at every depth",
    ]  # fmt: skip


def test_leading_components_are_those_of_largest_variance():
    scale = np.array([9.0, 5, 1, 0.1])
    rows = RANDOM.normal(size=(500, 4)) * scale + 7
    span, distance = leading_span(rows)
    np.testing.assert_allclose(np.abs(span), np.eye(4), atol=0.1)
    assert distance == pytest.approx(np.sqrt((scale**2).sum()), rel=0.1)
    assert len(leading_span(rows[:3])[0]) == 2


def test_the_section_says_shows_and_renders(drawn, found):
    blocks, figures = drawn
    kinds = [type(block) for block in blocks]
    assert kinds.count(Verdict) == 1
    assert kinds.count(Figure) == 2
    assert kinds.count(Table) == 2, "contexts and weights; one certificate needs no table"
    assert sorted(path.name for path in figures.iterdir()) == [
        "historical_figures_certificate.png", "historical_figures_neuron_interventions.png",
    ]  # fmt: skip
    text = next(block.text for block in blocks if isinstance(block, Paragraph))
    assert "died in 1" in text
    page = render(Report("t", (), (Section("s", blocks),), {}))
    assert "nan" not in page.split("base64")[0].lower()
    assert found.table.key in page or "Historical figures" in page


def test_a_table_without_a_question_still_has_read_outs(loaded, directions, rows, tmp_path):
    from llmworld_jax.experiments.report_pictures import Pictures
    from llmworld_jax.experiments.space_time.causal_section import causal_section

    got = causal_of(loaded, table_of("mine", "number"), directions, rows, neuron=(0, 3), start="bos")
    assert not got.certificates[0].measured
    assert np.isfinite(got.certificates[0].divergence).all()
    assert got.pins is None
    blocks = causal_section(got, Pictures(tmp_path))
    assert next(b for b in blocks if isinstance(b, Verdict)).kind == "neutral"
    assert "no question for mine" in next(b.text for b in blocks if isinstance(b, Paragraph))
    render(Report("t", (), (Section("s", blocks),), {}))
