"""Carries plans out on the DPU through ``southbound``, and reads the DPU into values. It never chooses.

Neighbours: ``dpu`` holds the clients of one DPU, ``observation`` reads it, ``carrying`` does one step each, ``ports``
writes Open vSwitch's tables.
"""
