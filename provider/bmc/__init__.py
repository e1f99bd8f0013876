"""Out-of-band management of servers: one narrow capability at a time, over the protocol that the BMC speaks.

Border: the only package that speaks to BMCs, and the only importer of pyghmi. Callers take a ``PowerController`` and
never learn which protocol is behind it. It decides nothing: when to switch is ``provider.planning``'s.
Neighbours: ``power`` has the capabilities, ``endpoint`` says which BMC, ``ipmi`` is the back end, ``isolation``
keeps its sessions apart, ``sessions`` keeps one for each BMC, ``errors`` is the tree of what can go wrong.
"""
