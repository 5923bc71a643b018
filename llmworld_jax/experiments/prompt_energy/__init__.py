"""Prompts optimised against what representations and predictions do."""
