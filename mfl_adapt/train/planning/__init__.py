"""How much memory training would take, without taking it: counted with tensors without content."""
