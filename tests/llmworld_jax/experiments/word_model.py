"""A tiny Llama whose tokens are words, so that whole graph runs take seconds.

llmworld_jax is imported inside the function, because jaxtyping's checker must be installed first.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from .random_weights import write_weights


def make_word_model(folder: Path, seed: int = 0) -> Path:
    """Random weights over a vocabulary of the library's words, a full stop and a line end."""
    from llmworld_jax.words import DAYS, POOL

    texts = ["<unk>", "<s>", "</s>", ".", ",", "\n", *(f" {word}" for word in (*POOL, *DAYS))]
    config = dict(
        architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=len(texts), hidden_size=32,
        num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=48,
        hidden_act="silu", rms_norm_eps=1e-5, rope_theta=1e4, tie_word_embeddings=True,
        max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(models.WordLevel({text: i for i, text in enumerate(texts)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?[A-Za-z]+|[.,\n]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in texts[:3]])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>"}))
    write_weights(folder, config, seed)
    return folder
