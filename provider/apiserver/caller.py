"""Who asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from provider.runtime.controller import Json


@dataclass(frozen=True, slots=True)
class Caller:
    """A user as the API server knows one (``authentication.k8s.io/v1``, UserInfo)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def subject(self) -> Json:
        """As a SubjectAccessReview names one."""
        subject: Json = {"user": self.name, "groups": list(self.groups)}
        if self.uid:
            subject["uid"] = self.uid
        if self.extra:
            subject["extra"] = {key: list(values) for key, values in self.extra.items()}
        return subject

    @property
    def key(self) -> tuple[object, ...]:
        """Two callers with the same key have the same rights."""
        return self.name, self.groups, self.uid, tuple(sorted(self.extra.items()))
