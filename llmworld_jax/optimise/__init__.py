"""Gradients through a model: prompts, walks and offsets optimised against any functional of what it makes of them."""
