"""Names of files and folders that systems and programs write between studies, and that are not part of a study."""

# Names in lower case. Some of these hold thumbnails or copies of other files, and some only their owner can read.
LEFT_BY_SYSTEMS = frozenset(
    {
        "dicomdir",  # the index of a DICOM medium
        *("__macosx", "icon\r"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "autorun.inf"),
        *("$recycle.bin", "recycler", "system volume information"),
        *("lost+found", "@eadir", "#recycle"),
    }
)
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".filepart", ".opdownload", ".aria2")


def is_no_study(name: str) -> bool:
    """Whether a file or folder of this name cannot be part of a study.

    Hidden names count too, such as ``._*`` of a Mac.

    >>> [name for name in ("Thumbs.db", "._Case07.nii", "DICOMDIR;1", "IM000001") if not is_no_study(name)]
    ['IM000001']
    """
    # A mounted CD may show ISO 9660's version number: DICOMDIR;1
    plain = name.casefold().partition(";")[0].rstrip(".")
    return name.startswith(".") or plain in LEFT_BY_SYSTEMS


def is_unfinished(name: str) -> bool:
    """Whether a browser or a transfer program gives this name to an incomplete file."""
    return name.casefold().endswith(UNFINISHED)
