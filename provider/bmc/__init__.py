"""Out-of-band management of servers: one narrow capability at a time, over the protocol that the BMC speaks.

Border: the only package that speaks to BMCs, and the only importer of pyghmi. Callers take a ``PowerController`` or a
``ConsoleController`` and never learn which protocol is behind it. It decides nothing: when to switch is
``provider.planning``'s, who may look at a console ``provider.apiserver``'s.
Neighbours: ``power`` and ``console`` have the capabilities, ``endpoint`` says which BMC, ``sessions`` keeps one for
each BMC, ``errors`` is the tree of what can go wrong. Commands go through pyghmi: ``ipmi`` is the back end,
``isolation`` keeps its sessions apart. Consoles are our own: ``sol`` over ``lan`` (a session on the event loop), with
what is pure in ``rmcp`` (packets and keys), ``login`` and ``solpacket``.
"""
