"""What one DPU must do next: pure functions from what is desired and what is observed to steps.

A plan is a sequence of stages. The steps of a stage do not depend on each other and go out together, for each round
trip to a stock SPDK target costs 8 ms. After a plan was carried out, planning again gives the empty plan.
Neighbours: ``observed`` is the world as values, ``steps`` the closed union of what can be done, ``disk``, ``seed`` and
``nic`` plan one noun each.
"""
