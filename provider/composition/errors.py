"""What can keep the engine from composing.

::

    CompositionError
    ├── InvalidComposition      the Composition or the function's answer makes no sense to this engine
    ├── FunctionUnavailable     the function could not be called
    ├── FunctionFailed          the function answered with a fatal result
    ├── CompositionNotServed    the machine asks for a Composition or revision that this engine has not
    └── EngineRefused           another engine owns the machine's kind
"""

from provider.runtime.errors import MetalplaneError


class CompositionError(MetalplaneError):
    """Composing a machine failed; nothing that was composed before is touched."""


class InvalidComposition(CompositionError):
    """The Composition or the function's answer makes no sense to this engine."""


class FunctionUnavailable(CompositionError):
    """The function could not be called."""


class FunctionFailed(CompositionError):
    """The function answered with a fatal result."""


class CompositionNotServed(CompositionError):
    """The machine asks for a Composition or revision that this engine has not; only its owner can change that."""


class EngineRefused(CompositionError):
    """Another engine owns the machine's kind."""
