"""Whether a machine answers: ARP probes through the bridge, as another machine of its network would send them.

Border: it never touches a machine's own tap. A probe leaves by an internal port of the bridge in the machine's VLAN, so
that an answer proves port, VLAN and guest at once.
Neighbours: ``arp`` has the frames and ``reachability`` the verdict (both pure), ``vlan`` the port and socket of one
VLAN, ``prober`` asks and listens.
"""
