"""The Container Storage Interface's wire: messages and services that the controller side speaks, both ends of it.

``csi.proto`` is our own writing of what the CSI specification fixes (package ``csi.v1``; names and numbers of spec
v1.13), cut down to what is used; ``csi_pb2*`` are generated from it by ``make generate``.
"""
