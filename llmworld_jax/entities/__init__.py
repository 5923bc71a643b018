"""Tables of things with a place or a date, and the prompts that name them."""
