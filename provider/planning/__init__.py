"""Desired against observed, in: a plan, out. Pure: no I/O, no clock, no cluster; one file per kind.

A kind's ``World`` is all that its plan may depend on; ``plan(world)`` says what to do now (``action``), what to tell
the user (``verdict``), and when to look again. Carrying the plan out and planning again must come to rest: the property
tests check that for every kind.

Border: imports ``provider.api`` only. Neighbours: ``controllers`` build the worlds, ``execution`` carries the actions
out. ``tenancy`` is the one rule about whose server it is, and every kind asks it.
"""
