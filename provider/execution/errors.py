"""What can go wrong while acting, beyond ``KubeError``.

::

    MetalplaneError
    └── PowerActionFailed     the BMC refused a command or did not answer; the power is read again before the next try
"""

from provider.runtime.errors import MetalplaneError


class PowerActionFailed(MetalplaneError):
    """A command to a BMC failed."""
