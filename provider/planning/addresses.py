"""Addresses on a Network: is the one asked for all right, and which is the lowest that is free?"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from provider.api.network import Network


def reserved(network: Network) -> frozenset[IPv4Address]:
    """Never handed out: the network's own address, its broadcast, the gateway, and the first host (a router's)."""
    subnet = IPv4Network(network.spec.subnet)
    own = {subnet.network_address, subnet.broadcast_address, subnet.network_address + 1}
    gateway = {IPv4Address(network.spec.gateway)} if network.spec.gateway and "." in network.spec.gateway else set()
    return frozenset(own | gateway)


def fault(address: str, network: Network) -> str | None:
    """Why ``address`` (with prefix) cannot be a machine's on this network; None if it can."""
    interface, subnet = IPv4Interface(address), IPv4Network(network.spec.subnet)
    name = network.metadata.name
    if interface.network != subnet:
        return f"{address} is not in subnet {subnet} of Network {name}: write an address such as {_example(network)}"
    if interface.ip in {subnet.network_address, subnet.broadcast_address}:
        return f"{address} is the network's own address on Network {name}: write one such as {_example(network)}"
    if network.spec.gateway == str(interface.ip):
        return f"{address} is the gateway of Network {name}: write one such as {_example(network)}"
    return None


def lowest_free(network: Network, used: Collection[str]) -> str | None:
    """The lowest address, with prefix, that is neither reserved nor in ``used`` (with or without prefix)."""
    subnet = IPv4Network(network.spec.subnet)
    taken = {IPv4Interface(address).ip for address in used} | reserved(network)
    free = next((host for host in subnet.hosts() if host not in taken), None)
    return None if free is None else f"{free}/{subnet.prefixlen}"


def _example(network: Network) -> str:
    return lowest_free(network, ()) or network.spec.subnet
