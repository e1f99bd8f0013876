"""The serial consoles of servers: one session at each BMC, shared by all who may look, through whichever replica.

Border: who may look is decided outside, and asked again through ``reauthorise``; a BMC is spoken to through
``provider.bmc`` alone. The surface is ``consoles.Consoles``.
Neighbours, from the wire up: ``keeper`` keeps the session at the BMC and ``hub`` shares it, over the ``history`` of
what was printed; ``session`` serves one websocket, in the words of ``frames``. ``replicas`` tells which replicas live
and ``ownership`` which of them has a server; ``planning`` decides what to do about one server, ``controller`` does it.
``peer`` passes a console through to its owner, by the secret of ``peersecret``.

A history belongs to a server *and* the claim that holds it: nobody finds what was printed under another claim.
"""
