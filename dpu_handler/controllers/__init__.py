"""The agent's controllers: observe, plan, carry out, report; one file for each kind of the DPU's namespace.

They read and write ``status`` there and nothing else: who asked for a device, and why, is the provider's affair.
Neighbours: ``device`` is what both share.
"""
