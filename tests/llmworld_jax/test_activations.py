"""Activations of many prompts: batched and padded equals one at a time, and a reduction never keeps rows."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.activation_store import ActivationStore, read_layer
from llmworld_jax.activations import accumulate, collect, store_activations, stream
from llmworld_jax.errors import InputError
from llmworld_jax.models.forward import forward

RANDOM = np.random.default_rng(4)
PROMPTS = [RANDOM.integers(1, 40, n).astype(np.int32) for n in RANDOM.choice([1, 5, 6, 13], 23)]
LAST = np.array([len(p) - 1 for p in PROMPTS])
run = jax.jit(forward, static_argnames="taps")


@pytest.fixture
def model(tiny_llama):
    return tiny_llama(num_layers=3)


@pytest.fixture
def alone(model):
    """``[layer, prompt, width]`` of one site, every prompt read alone and whole."""

    def read(site: str, pool=lambda x, n: x[:, n]) -> np.ndarray:
        taps = [run(model, p, taps=(site,)).taps[site] for p in PROMPTS]
        return np.stack([pool(x, n) for x, n in zip(taps, LAST)], axis=1)

    return read


@pytest.mark.once
def test_padded_batches_equal_unpadded_single_runs(model, alone):
    got = collect(model, PROMPTS, LAST, sites=("resid_post", "mlp_act"), tokens=48)
    for site in ("resid_post", "mlp_act"):
        np.testing.assert_allclose(got[site], alone(site), atol=1e-5, rtol=0)


def test_the_mean_over_a_span_and_chosen_layers(model, alone):
    first = LAST // 2
    got = collect(model, PROMPTS, LAST, sites=("resid_mid",), layers=(2, 0), first=first)["resid_mid"]
    means = [
        np.asarray(run(model, p, taps=("resid_mid",)).taps["resid_mid"])[:, a : b + 1].mean(1)
        for p, a, b in zip(PROMPTS, first, LAST)
    ]
    np.testing.assert_allclose(got, np.stack(means, axis=1)[[2, 0]], atol=1e-5, rtol=0)


def test_gram_sums_on_the_device_equal_those_of_the_rows(model, alone):
    def update(state, taps, index, weight):
        x = taps["resid_post"] * weight[None, :, None]
        gram = state["gram"] + jnp.einsum("lnd,lne->lde", x, x)
        return {"gram": gram, "index": state["index"] + jnp.sum(index * weight)}

    start = {"gram": jnp.zeros((3, 32, 32)), "index": jnp.int32(0)}
    got = accumulate(model, PROMPTS, LAST, update, start, sites=("resid_post",), tokens=48)
    x = alone("resid_post")
    np.testing.assert_allclose(got["gram"], np.einsum("lnd,lne->lde", x, x), rtol=1e-4, atol=1e-3)
    assert int(got["index"]) == sum(range(len(PROMPTS)))
    assert float(start["gram"].sum()) == 0, "the caller's state is not donated away"


def test_what_stands_in_the_padding_does_not_matter(model):
    """The embedding of the padding token is one that would change every mean and every sum that it came into."""
    other = jax.tree.map(lambda x: x, model)
    other.embed[...] = other.embed[...].at[0].set(1e4)
    one, two = (collect(m, PROMPTS, LAST, sites=("resid_post",), tokens=48)["resid_post"] for m in (model, other))
    assert sum(np.unique(LAST) != LAST.max()) == 3, "some prompts must be padded"
    np.testing.assert_array_equal(one, two)


def test_progress_counts_prompts(model):
    seen = []
    collect(model, PROMPTS, LAST, sites=("resid_pre",), layers=(0,), tokens=48, progress=lambda *n: seen.append(n))
    assert seen[-1] == (23, 23)
    assert len(seen) > 1
    assert all(a[0] < b[0] for a, b in itertools.pairwise(seen))


@pytest.mark.parametrize("case", ["empty", "long", "outside", "none"])
def test_prompts_that_cannot_be_read_are_listed(model, case):
    prompts, at = list(PROMPTS), LAST.copy()
    if case == "empty":
        prompts[3] = np.array([], np.int32)
    elif case == "long":
        prompts[3] = np.ones(1025, np.int32)
    elif case == "outside":
        at[3] += 1
    else:
        prompts, at = [], LAST[:0]
    with pytest.raises(InputError, match=r"\[\]" if case == "none" else r"\[3\]"):
        next(stream(model, prompts, at, sites=("resid_pre",)))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_store_gives_back_every_layer_in_the_order_of_the_prompts(tiny_llama, tmp_path, dtype, monkeypatch):
    monkeypatch.setattr("llmworld_jax.activation_store.ROWS", 4)
    model = tiny_llama(num_layers=3, dtype=dtype)
    what = {"sites": ("resid_post",), "tokens": 48}
    folder = store_activations(model, PROMPTS, LAST, tmp_path / "a", {"model": "tiny"}, **what)
    got = collect(model, PROMPTS, LAST, **what)["resid_post"]
    for layer in range(3):
        stored = read_layer(folder, "resid_post", layer)
        np.testing.assert_array_equal(stored.rows, np.asarray(got[layer], np.float32))
        np.testing.assert_array_equal(stored.prompts, np.arange(23))
    with pytest.raises(InputError, match="exists"):
        ActivationStore(folder, 1, {})
    for site, layer in (("resid_pre", 0), ("resid_post", 3)):
        with pytest.raises(InputError):
            read_layer(folder, site, layer)


def test_the_store_is_read_by_zarr_and_xarray(model, tmp_path):
    zarr, xarray = pytest.importorskip("zarr"), pytest.importorskip("xarray")
    folder = store_activations(model, PROMPTS, LAST, tmp_path / "a", {"dataset": "x"}, sites=("z",), layers=(1,))
    group = zarr.open_group(folder, mode="r")
    assert dict(group.attrs) == {"dataset": "x"}
    seen = xarray.open_zarr(folder, consolidated=False, zarr_format=3)
    rows = seen.assign_coords(prompt=("row", seen["prompt"].values)).sortby("prompt")["z"].values
    np.testing.assert_array_equal(rows, collect(model, PROMPTS, LAST, sites=("z",), layers=(1,))["z"])


def test_what_a_killed_process_left_is_written_over(tmp_path):
    rows = np.ones((1, 3, 2), np.float32)
    ActivationStore(tmp_path / "a", 3, {}).append(np.arange(3), {"z": 0 * rows})
    killed = ActivationStore(tmp_path / "a", 5, {})
    killed.append(np.arange(3), {"z": 0 * rows})
    with pytest.raises(InputError):
        killed.close()
    again = ActivationStore(tmp_path / "a", 3, {})
    again.append(np.arange(3), {"z": rows})
    np.testing.assert_array_equal(read_layer(again.close(), "z", 0).rows, rows[0])


def test_attributes_that_cannot_be_stored_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(InputError):
        ActivationStore(tmp_path / "a", 3, {"model": object()})


def test_a_store_that_is_not_finished_has_no_name(tmp_path):
    store = ActivationStore(tmp_path / "a", 5, {})
    store.append(np.arange(3), {"z": np.zeros((1, 3, 2), np.float32)})
    with pytest.raises(InputError, match="3 rows"):
        store.close()
    assert not (tmp_path / "a").exists()


def test_two_processes_take_turns_with_the_chunks(tmp_path, monkeypatch):
    """Here one after the other in one process; two real ones in ``experiments/test_several_processes.py``."""
    monkeypatch.setattr("llmworld_jax.activation_store.ROWS", 4)
    rows = np.random.default_rng(0).normal(size=(2, 18, 3)).astype(np.float32)
    stores = []
    for number in (0, 1):
        monkeypatch.setattr("llmworld_jax.activation_store.place", lambda number=number: (number, 2))
        stores.append(ActivationStore(tmp_path / "a", 18, {}))
    for store in stores:
        for part in np.split(np.arange(18), (3, 9)):
            store.append(part, {"z": rows[:, part]})
    stores[1].close()
    assert sorted(p.name for p in (tmp_path / ".a.partial" / "z" / "c" / "0").iterdir()) == ["0", "1", "2", "3"]
    assert not (tmp_path / "a").exists()
    folder = stores[0].close()
    for layer in (0, 1):
        np.testing.assert_array_equal(read_layer(folder, "z", layer).rows, rows[layer])
    assert len(list((folder / "z" / "c" / "0").iterdir())) == 5


def test_a_disk_without_room_is_said_in_words(tmp_path):
    store = ActivationStore(tmp_path / "a", 3, {})
    (tmp_path / ".a.partial").write_text("in the way of every file")
    store.append(np.arange(3), {"z": np.zeros((1, 3, 2), np.float32)})
    with pytest.raises(InputError, match="room"):
        store.close()
    assert not (tmp_path / "a").exists()


def test_a_place_where_there_can_be_no_folder_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can be written to"):
        ActivationStore(tmp_path / "file" / "b" / "a", 3, {})
