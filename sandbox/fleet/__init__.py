"""Light servers: hundreds of them in one process, for whoever tries the control plane at scale.

A light server boots at once, because there is nothing in it: no QEMU, no disk, no network. All that the control plane
meets is there all the same:

  bmc, sol      its BMC, which speaks IPMI 2.0 (RMCP+) at a UDP port of its own, and its serial console
  messages      IPMI messages as a BMC reads them; packets and keys are ``provider.bmc.rmcp``'s
  serialport    the serial port: it prints a line at each start, and echoes what is written
  chassis       its slots and power, behind the same sockets and methods as a chassis with QEMU
  disks         the data path of SPDK stand-ins that keep no data: their RPC is the stand-in's own
  switch        the rows of an Open vSwitch database, behind the agent's OVSDB client
  answers       what the agent's probes hear
  agents        the product's agents, a DPU each, on one watch of the API server
  rack          puts it together: the storage node's target and all servers

The border: of the product it takes the agent's parts as ``dpu_handler.__main__`` does; nothing imports it but the
sandbox and tests.
"""
