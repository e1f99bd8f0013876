"""The composition function: a machine in, managed resources and the machine's status out.

Pure, behind a thin ``RunFunction`` server: the answer depends on the request alone, so it is the same under the
embedded engine and under Crossplane. It is the only author of a machine's status.

It never leaves a child out because something that it needs is missing, for that would delete a running machine's disk:
what was resolved once (image, instance type, slots) is read back from the children that are observed.
Neighbours: ``observed`` reads the request, ``ephemeral`` adds what the machine has for this run only, ``children``
composes, ``progress`` and ``status`` tell how it goes, ``compose`` puts them together, ``server`` speaks gRPC.
"""
