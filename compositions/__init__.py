"""Data: the machine's CompositeResourceDefinition, its Composition, examples, and golden renders of the function."""
