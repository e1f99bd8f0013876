"""Golden images for the sandbox's servers, built without Docker, loop mounts or a running guest.

Purpose: turn a recipe (a package of this one: a short Python module and the files beside it) into a raw disk that a
server's firmware can boot: MBR, one ext4 partition, GRUB for BIOS, Debian's cloud kernel.

Border: a recipe and Debian's packages go in; ``<sha256>.raw`` and a JSON record come out. Nothing here knows of
servers, volumes or Kubernetes. What the image does once it runs is decided by the files of its recipe.

Neighbours: ``sandbox up`` builds images through `build`; the storage node imports the raw file.

    ImageError                  what was attempted, on what, why it failed, what to do next
    ├── PackageError            Debian's package tools refused or a download is not what the index promised
    └── ToolError               a program that makes a part of the disk failed
"""

from sandbox.images.builder import Image, build
from sandbox.images.errors import ImageError, PackageError, ToolError

__all__ = ["Image", "ImageError", "PackageError", "ToolError", "build"]
