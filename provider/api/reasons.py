"""Reasons of conditions and events. Those of Crossplane keep its spelling (crossplane-runtime, apis/common/v1)."""

from enum import StrEnum


class Reason(StrEnum):
    """CamelCase words that stand in ``conditions[].reason`` and in Events."""

    # Crossplane's, on Ready and Synced.
    AVAILABLE = "Available"
    UNAVAILABLE = "Unavailable"
    CREATING = "Creating"
    DELETING = "Deleting"
    RECONCILE_SUCCESS = "ReconcileSuccess"
    RECONCILE_ERROR = "ReconcileError"
    RECONCILE_PAUSED = "ReconcilePaused"

    # What a child waits for or fails on; the function rolls the first one up into the machine's Progressing.
    NO_FITTING_SERVER = "NoFittingServer"
    SERVER_NOT_BOUND = "ServerNotBound"
    SERVER_NOT_YOURS = "ServerNotYours"
    IMAGE_NOT_FOUND = "ImageNotFound"
    IMAGE_NOT_GRANTED = "ImageNotGranted"
    INSTANCE_TYPE_NOT_FOUND = "InstanceTypeNotFound"
    NETWORK_NOT_FOUND = "NetworkNotFound"
    NETWORK_NOT_GRANTED = "NetworkNotGranted"
    ADDRESS_IN_USE = "AddressInUse"
    NO_FREE_ADDRESS = "NoFreeAddress"
    SLOT_UNAVAILABLE = "SlotUnavailable"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  (a reason, not a secret)
    USER_DATA_TOO_LARGE = "UserDataTooLarge"
    STORAGE_CLASS_NOT_FOUND = "StorageClassNotFound"
    WAITING_FOR_VOLUME = "WaitingForVolume"
    WAITING_FOR_NICS = "WaitingForNICs"
    WAITING_FOR_DEVICES = "WaitingForDevices"
    WAITING_FOR_POWER_OFF = "WaitingForPowerOff"
    WAITING_FOR_DISKS = "WaitingForDisks"
    WAITING_FOR_CHILDREN = "WaitingForChildren"
    WAITING_FOR_AGENT = "WaitingForAgent"
    PROVISIONING_FAILED = "ProvisioningFailed"
    DRIVER_UNAVAILABLE = "DriverUnavailable"
    ATTACH_FAILED = "AttachFailed"
    AGENT_LOST = "AgentLost"
    BMC_UNREACHABLE = "BMCUnreachable"
    BMC_AUTHENTICATION_FAILED = "BMCAuthenticationFailed"
    POWERING_ON = "PoweringOn"
    POWERING_OFF = "PoweringOff"
    EXTERNAL_NAME_REFUSED = "ExternalNameRefused"
    POLICY_INVALID = "InvalidManagementPolicies"

    # The machine's own Progressing.
    PROVISIONED = "Provisioned"
    WAITING_FOR_ANSWER = "WaitingForAnswer"
    STOPPED = "Stopped"
