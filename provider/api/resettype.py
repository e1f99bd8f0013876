"""Changes of power that can be asked for, in Redfish's words (DSP0268, Resource: ResetType).

No model is imported, so a client that only asks starts quickly.
"""

from typing import Literal

RequestedReset = Literal["On", "GracefulShutdown", "ForceOff", "GracefulRestart", "PowerCycle", "ForceRestart"]
