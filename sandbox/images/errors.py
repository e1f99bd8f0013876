"""The errors of image building; the tree is drawn in the package's docstring."""


class ImageError(Exception):
    """An image could not be built. The message names the attempt, its subject, the cause and the next step."""

    def __init__(self, attempt: str, subject: str, cause: str, next_step: str) -> None:
        self.attempt = attempt
        self.subject = subject
        self.cause = cause
        self.next_step = next_step
        super().__init__(f"{attempt} {subject} failed: {cause}. {next_step}")


class PackageError(ImageError):
    """A Debian package could not be found, fetched or verified."""


class ToolError(ImageError):
    """A program that makes a part of the disk (mke2fs, grub-mkimage, …) is missing or exited with an error."""
