"""Names of files and folders that systems and programs leave among studies, and that are no part of any."""

# In lower case. Some hold thumbnails or copies of what lies beside them, some only their owner may read.
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
    """Whether a file or folder of this name is no study, nor part of one: what is hidden, as ``._*`` of a Mac, too."""
    # A mounted CD may show the version of ISO 9660: DICOMDIR;1
    plain = name.casefold().partition(";")[0].rstrip(".")
    return name.startswith(".") or plain in LEFT_BY_SYSTEMS


def is_unfinished(name: str) -> bool:
    """Whether a browser or a transfer program gives this name to what it has not got whole."""
    return name.casefold().endswith(UNFINISHED)
