"""How fast a model is read on this device, beside what the device can do and beside torch."""
