"""In-context graphs: what a model makes of words whose only relation is who follows whom."""
