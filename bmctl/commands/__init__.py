"""The verbs of bmctl, one file each. A verb reads the API, has a pure module shape the answer, and prints it."""
