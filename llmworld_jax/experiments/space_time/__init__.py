"""Space and time: from the activations of named things to a map, with the controls that make it believable."""
