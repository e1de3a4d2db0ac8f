"""What torch does while a network is tried out, operation by operation."""

from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Watching"]


class Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its subclassing untyped
    """A mode that sees every operation and costs nothing to begin: subclasses say what they note."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would import its compiler, to keep it away from us: seconds before the first step."""
        return False
