"""What the fleet is found by from outside."""

STORAGE_SOCKET = "spdk.sock"
"""The storage node's SPDK target, in the fleet's directory of sockets."""
