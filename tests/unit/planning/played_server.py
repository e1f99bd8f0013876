"""A server with a BMC, as stories of its power play it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from provider.api.powerstate import Power


@dataclass
class PlayedServer:
    """It follows a command after ``lag_s``, and some never shut down by themselves. ``life`` is what became of it."""

    lag_s: int
    obedient: bool
    reading: Power = "Off"
    goal: tuple[Power, datetime] | None = None
    commands: list[str] = field(default_factory=list)
    life: list[str] = field(default_factory=list)

    def switch(self, reset_type: str, now: datetime) -> None:
        """Take a command of the BMC."""
        self.commands.append(reset_type)
        if reset_type == "GracefulShutdown" and not self.obedient:
            return
        if reset_type == "ForceRestart":
            assert self.read(now) == "On", "a server that is off is not reset"
            self.life.append("reset")
            self.goal = None  # the operating system that was shutting down is no more
            return
        wanted: Power = "On" if reset_type == "On" else "Off"
        if self.goal is None or self.goal[0] != wanted:
            self.goal = (wanted, now + timedelta(seconds=self.lag_s))

    def read(self, now: datetime) -> Power:
        """What the BMC says."""
        if self.goal is not None and now >= self.goal[1]:
            if self.reading != self.goal[0]:
                self.life.append(self.goal[0])
            self.reading, self.goal = self.goal[0], None
        return self.reading
