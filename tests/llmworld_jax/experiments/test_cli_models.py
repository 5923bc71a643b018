"""``llmworld models`` as a user meets it: lists, checks, plans, and what it refuses."""

import shutil

import pytest


def test_models_list(llmworld):
    from llmworld_jax.models.catalogue import MODELS

    code, out, _ = llmworld("models", "list")
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[: len(MODELS)]] == list(MODELS)
    assert "fetched on first use" in lines[0]
    assert llmworld("models") == (0, out, "")


def test_models_verify_of_a_folder(llmworld, model_folder):
    from llmworld_jax.models.cache import file_sha256

    code, out, _ = llmworld("models", "verify", model_folder)
    assert code == 0
    assert "every tensor" in out
    assert file_sha256(model_folder / "model.safetensors") in out


def test_models_verify_of_a_converted_model(llmworld, refused, model_folder, tmp_path):
    from llmworld_jax.models.cache import write_manifest

    folder = shutil.copytree(model_folder, tmp_path / "converted")
    write_manifest(folder, {"id": "x"})
    code, out, _ = llmworld("models", "verify", folder)
    assert code == 0
    assert "every file" in out
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    assert "model.safetensors has another SHA-256" in refused("models", "verify", folder)


def test_models_plan_of_a_folder(llmworld, model_folder):
    from safetensors.numpy import load_file

    count = sum(tensor.size for tensor in load_file(model_folder / "model.safetensors").values())
    code, out, _ = llmworld("models", "plan", model_folder, "--context", 100, "--mesh", "data=2,model=2")
    assert code == 0
    assert f"{count:,} parameters, float32, 100 tokens" in out
    row = next(line for line in out.splitlines() if line.startswith("data=2,model=2"))
    assert f"{100 * 2 * 2 * 2 * 8 * 4 / 2 / 1024:.4g} KiB" in row  # keys and values: two heads over two devices
    assert "working memory" in out


def test_models_plan_of_a_public_configuration(llmworld):
    code, out, _ = llmworld("models", "plan", "SmolLM2-135M", "--context", 64, "--dtype", "bfloat16")
    assert code == 0
    assert "134,515,008 parameters, bfloat16" in out
    assert f"{2 * 134_515_008 / 2**20:.4g} MiB" in out


def test_models_plan_finds_the_mesh_that_fits(llmworld):
    """70B of bfloat16 are 138 GB: eight cards of 80 GB hold them from a model axis of two on."""
    call = ("models", "plan", "llama-2-70b", "--on", "8xH100", "--dtype", "bfloat16", "--context", 256)
    code, out, _ = llmworld(*call)
    assert code == 0
    assert "fits on 8xH100: --mesh data=4,model=2" in out
    assert f"{2 * 68_976_648_192 / 2**30:.4g} GiB" in out  # alone, with nothing shared
    code, out, _ = llmworld(*call[:4], "v5p-8", *call[5:])
    assert "fits on v5p-8: --mesh data=2,model=2" in out
    assert "does not fit on v5e-8" in llmworld(*call[:4], "v5e-8", *call[5:])[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sing",), "models sing"),
        (("plan", "gpt"), "plan gpt"),
        (("plan", "missing/config.json"), "plan missing/config.json"),
        (("plan", "--mesh", "data=0"), "the mesh 'data=0'"),
        (("plan", "--on", "abacus"), "--on abacus"),
        (("plan", "--on", "8xh100", "--mesh", "model=4"), "the 8 chips"),
        (("plan", "--context", 0), "--context 0"),
        (("plan", "--context", 9000), "9000 tokens of context"),
        (("plan", "--dtype", "int4"), "--dtype int4"),
        (("fetch", "gpt"), "the model 'gpt'"),
        (("fetch", "--from", "missing.whl"), "no file at missing.whl"),
        (("fetch", "llama-2-7b", "--from", "missing.whl"), "--from with llama-2-7b"),
        (("verify", "gpt"), "the model 'gpt'"),
    ],
)
def test_models_refuses(refused, arguments, said):
    assert said in refused("models", *arguments)
