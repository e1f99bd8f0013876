"""A server's power as its plan sees it: what is desired, what the BMC says, what was asked of it before.

Neighbours: ``powerstate`` decides what the state asks for, ``powerrequest`` what a request does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from provider.api.names import ANNOTATION_FINISHED_POWER_REQUEST, ANNOTATION_RUN
from provider.api.powerstate import Power, PowerRequest, PowerRequestProgress, PowerState, PowerTransition
from provider.api.reasons import Reason
from provider.planning.tenancy import Hold, NoHold

ASK_AGAIN_S = 10.0
"""A server that has not followed for this long is asked again: one that was still starting heard no power button."""
IN_TRANSITION_S = 1.0
FAULT_RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the power could not be read."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class World:
    """``reading`` is fresh; ``pending`` names the machine's devices that are not ready, the last to be expected first.

    ``boot_disk_shown``: the DPU was asked to show the server the disk that the machine boots from.
    """

    power: PowerState
    hold: Hold | NoHold
    now: datetime
    reading: Power | None = None
    fault: Fault | None = None
    pending: tuple[str, ...] = ()
    boot_disk_shown: bool = True
    poll_interval_s: float = 60.0

    @property
    def server(self) -> str | None:
        """Name of the server, if one is held."""
        return self.hold.server.metadata.name if isinstance(self.hold, Hold) else None

    @property
    def off_is_desired(self) -> bool:
        """Whether the server is to be off, whatever else is asked for."""
        return self.power.metadata.deleting or self.power.spec.for_provider.state == "Off"

    @property
    def on_is_desired(self) -> bool:
        """Whether the server is to be on for as long as nobody says otherwise."""
        return not self.power.metadata.deleting and self.power.spec.for_provider.state == "On"

    @property
    def transition(self) -> PowerTransition | None:
        """The change of power that is under way, as last recorded."""
        return self.power.status.at_provider.transition

    @property
    def found_on(self) -> bool:
        """Whether the server is, or may be, on for somebody else than this machine."""
        known = self.power.status.at_provider
        if self.reading == "Off":
            return False
        if known.found_on:
            return True
        # After a fault only a first look tells: an Unknown that was written later may have been On before.
        unused = known.state is None or (known.state == "Off" and self.reading == "On")
        return unused and known.transition is None and not self.boot_disk_shown

    @property
    def first_look(self) -> bool:
        """Whether there is no status that says what was done before."""
        return self.power.status.at_provider.state is None

    @property
    def run(self) -> str | None:
        """Id of the machine's run, where somebody marked it because devices were added for it alone."""
        return self.power.metadata.annotations.get(ANNOTATION_RUN)

    @property
    def request(self) -> PowerRequest | None:
        """What was asked for once."""
        return self.power.spec.for_provider.request

    @property
    def progress(self) -> PowerRequestProgress | None:
        """How far the request has come, as last recorded; None of one that is not taken up yet."""
        known = self.power.status.at_provider.request
        return known if known is not None and self.request is not None and known.id == self.request.id else None

    @property
    def request_is_finished(self) -> bool:
        """Whether it was written down that the request is never to be carried out again."""
        done = self.power.metadata.annotations.get(ANNOTATION_FINISHED_POWER_REQUEST)
        return self.request is not None and done == self.request.id

    def asked(self, *actions: str) -> bool:
        """Whether the last command to the BMC, of a change that is under way, was one of these."""
        return self.transition is not None and self.transition.action in actions

    @property
    def is_due_again(self) -> bool:
        """Whether the last command was so long ago that it is sent again."""
        return self.transition is None or self.now - self.transition.asked_at >= timedelta(seconds=ASK_AGAIN_S)

    @property
    def shutting_down(self) -> bool:
        """Whether a server that was asked to shut down may still do so."""
        grace = timedelta(seconds=self.power.spec.for_provider.graceful_shutdown_timeout_seconds)
        asked = self.transition if self.asked("GracefulShutdown") else None
        return asked is not None and self.now - asked.started_at < grace
