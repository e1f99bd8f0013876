"""Reasons of conditions and events. Those of Crossplane keep its spelling (crossplane-runtime, apis/common/v1)."""

from enum import StrEnum


class Reason(StrEnum):
    """CamelCase words that stand in ``conditions[].reason`` and in Events; ``about`` says what each means."""

    about: str

    def __new__(cls, word: str, about: str = "") -> "Reason":
        """A member is its word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.about = about
        return member

    # Crossplane's, on Ready and Synced.
    AVAILABLE = "Available", "it is there and as desired"
    UNAVAILABLE = "Unavailable", "it is there, and not in order; the message says why"
    CREATING = "Creating", "it is being made"
    DELETING = "Deleting", "it is being taken away"
    RECONCILE_SUCCESS = "ReconcileSuccess", "the last look at it went well"
    RECONCILE_ERROR = "ReconcileError", "the last look at it failed, or what is asked for cannot be done"
    RECONCILE_PAUSED = "ReconcilePaused", "annotation crossplane.io/paused: nothing is done about it"

    # What a child waits for or fails on; the function rolls the first one up into the machine's Progressing.
    NO_FITTING_SERVER = "NoFittingServer", "no server is free, open to the namespace and large enough"
    SERVER_NOT_BOUND = "ServerNotBound", "the machine has no server yet, or the one it had says otherwise now"
    SERVER_NOT_YOURS = "ServerNotYours", "it points at a server that its machine does not hold"
    IMAGE_NOT_FOUND = "ImageNotFound", "there is no such MachineImage"
    IMAGE_NOT_GRANTED = "ImageNotGranted", "the MachineImage is not open to the namespace"
    INSTANCE_TYPE_NOT_FOUND = "InstanceTypeNotFound", "there is no such InstanceType"
    NETWORK_NOT_FOUND = "NetworkNotFound", "there is no such Network"
    NETWORK_NOT_GRANTED = "NetworkNotGranted", "the Network is not open to the namespace"
    ADDRESS_IN_USE = "AddressInUse", "another machine on the Network has that address or MAC"
    NO_FREE_ADDRESS = "NoFreeAddress", "the Network's subnet is used up"
    SLOT_UNAVAILABLE = "SlotUnavailable", "the server has no such slot, or something else is in it"
    SECRET_NOT_FOUND = "SecretNotFound", "a Secret (user data, or the BMC's password) is missing or lacks its key"
    USER_DATA_TOO_LARGE = "UserDataTooLarge", "the user data does not fit into the seed"
    STORAGE_CLASS_NOT_FOUND = "StorageClassNotFound", "there is no such StorageClass"
    WAITING_FOR_VOLUME = "WaitingForVolume", "its volume is not bound or not attached yet"
    WAITING_FOR_NICS = "WaitingForNICs", "the seed waits for the addresses of the machine's NICs"
    WAITING_FOR_DEVICES = "WaitingForDevices", "the start waits for the machine's disks and NICs"
    WAITING_FOR_POWER_OFF = "WaitingForPowerOff", "it goes only when the power was seen off"
    WAITING_FOR_DISKS = "WaitingForDisks", "it goes only when no disk uses it"
    WAITING_FOR_CHILDREN = "WaitingForChildren", "the server is let go of only when nothing uses it"
    WAITING_FOR_AGENT = "WaitingForAgent", "the DPU's agent has not reported on it yet"
    PROVISIONING_FAILED = "ProvisioningFailed", "the CSI driver refused to make or grow the volume"
    DRIVER_UNAVAILABLE = "DriverUnavailable", "the CSI driver does not answer"
    WAITING_FOR_CLAIMS = "WaitingForClaims", "an image goes once the volumes that are being made from it are made"
    SNAPSHOT_NOT_DELETED = "SnapshotNotDeleted", "the CSI driver refused to delete an image's snapshot"
    ATTACH_FAILED = "AttachFailed", "the volume is held elsewhere, or the CSI driver refused to attach it"
    AGENT_LOST = "AgentLost", "the DPU's agent has not renewed its Lease"
    BMC_UNREACHABLE = "BMCUnreachable", "the server's BMC does not answer"
    BMC_AUTHENTICATION_FAILED = "BMCAuthenticationFailed", "the server's BMC refuses the password in its Secret"
    POWERING_ON = "PoweringOn", "the BMC was asked to power the server on"
    POWERING_OFF = "PoweringOff", "the server is shutting down, or its power is being cut"
    EXTERNAL_NAME_REFUSED = "ExternalNameRefused", "the external-name annotation is not what is derived"
    POLICY_INVALID = "InvalidManagementPolicies", "managementPolicies is no set that Crossplane knows"

    # The machine's own Progressing.
    EPHEMERAL_DEVICES_UNREADABLE = (
        "EphemeralDevicesUnreadable",
        "annotation metalplane.io/ephemeral-devices makes no sense; what the machine has stays as it is",
    )
    PROVISIONED = "Provisioned", "all is as it should be"
    WAITING_FOR_ANSWER = "WaitingForAnswer", "the machine is on and has not answered on its network yet"
    STOPPED = "Stopped", "the machine is off, as its runStrategy says"
