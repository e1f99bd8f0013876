"""A stand-in for one SPDK target process.

It answers SPDK's JSON-RPC on a Unix socket as a real target was recorded to, and serves real vhost-user-blk disks
whose data path is qemu-storage-daemon. One program plays both parts of the storage chain: the storage node (AIO
bdevs, lvstore, lvols, NVMe-oF subsystems) and the DPU (NVMe-oF initiator, vhost-user-blk controllers).

What is real: the RPC (shapes, codes, messages, framing, timing), the thin clones (qcow2 overlays), the disk that a
server's firmware boots from, and the way that data takes:

    server -> vhost-user-blk -> storage daemon of the DPU -> NBD over TCP -> storage daemon of the storage node -> qcow2

What is not: the wire between the two targets. The storage daemon has no NVMe-oF, so a namespace travels as an NBD
export, one for each (subsystem NQN, host NQN); connections to one are an admin queue and an I/O queue
(`nbd_connection`), and what happens to it looks as it does on a real target: a new size reaches a running server, I/O
waits for an export that is revoked, and fails with the detach.

The border: nothing outside `sandbox` may import this package; clients know its socket only.

  json_stream   one JSON value after another out of a byte stream, with SPDK's limits
  rpc_server    connections, the 4 ms poll, batches, the request log
  dispatch      method table: name -> parameter model -> handler; the one error that handlers raise
  data_path     the seam to what carries the data
  storage_daemon, sockets   a qemu-storage-daemon child, its QMP, and who is really connected to it
  bdevs         the registry of block devices: names, claims, who holds one open
  aio, lvstore, nvme   what a bdev is backed by
  qcow2         the files that volumes are kept in
  nvmf          subsystems, hosts, listeners -> NBD exports
  nbd, nbd_connection, io_queue, nbd_errors   a host's connection to an export, and what is left of it after a detach
  vhost         vhost-user-blk controllers
  *_rpc, *_params   handlers and parameters of the nouns that have many
  cli           puts one target together
"""
