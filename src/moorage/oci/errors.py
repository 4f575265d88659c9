"""What can be wrong with an image, one tree; each message is a sentence that a user may be shown.

MoorageError
├── ImageError               the image, or the request for it, is at fault: trying again does not help
│   ├── ImageReferenceError  a name that is no image reference
│   ├── ImageNotFound        the registry or archive does not have it
│   ├── ImageDenied          the registry refuses these credentials
│   ├── ImageCorrupt         bytes that are not what their digest or format promises
│   └── ImageUnsupported     well-formed, but nothing that this platform can run
└── Unavailable
    └── RegistryUnavailable  the registry did not answer as it should: worth another try
"""

from __future__ import annotations

from moorage.base.errors import MoorageError, Unavailable


class ImageError(MoorageError):
    """An image that cannot be used as it stands."""


class ImageReferenceError(ImageError):
    """Not an image reference."""


class ImageNotFound(ImageError):
    """No such image, manifest or blob where it was looked for."""


class ImageDenied(ImageError):
    """The registry knows who asks, or cannot, and refuses."""


class ImageCorrupt(ImageError):
    """Bytes that break their own promise: a digest, a size, a format."""


class ImageUnsupported(ImageError):
    """An image for another platform, or with a feature that is not known here."""


class RegistryUnavailable(Unavailable):
    """A registry that cannot be reached, or fails."""
