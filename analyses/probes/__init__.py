"""Linear and other probes of activations: fits, scores and the controls that they have to beat."""
