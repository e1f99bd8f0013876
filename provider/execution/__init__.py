"""Carries out what a plan says, one executor for each family of actions, and chooses nothing.

Leadership is checked right before each change outside. Border: no decision is made here; what fails is reported as it
failed. Neighbours: ``provider.planning.action`` is the language, ``provider.controllers`` call it.
"""
