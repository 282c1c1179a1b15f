"""The settings of a node, read from ``node.yaml``. Every error is one line that names the file and the key."""

import dataclasses
import difflib
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from custom_components.foundation.errors import InputError

LONGEST_AE_TITLE = 16
KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}


def _number(default: float, least: float, most: float = math.inf) -> Any:
    return field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True)
class TlsSettings:
    """Encryption of a connection.

    Attributes:
        certificate: the own certificate (PEM), with its chain.
        key: the certificate's private key (PEM).
        ca: the certificates (PEM) that sign those of the peers. A peer without such a certificate is refused.
    """

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True)
class ListenSettings:
    """Where the node receives images, and from whom."""

    ae_title: str
    allowed: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = _number(11112, 1, 65535)
    tls: TlsSettings | None = None


@dataclass(frozen=True)
class PacsSettings:
    """Where the results go: to a DICOM peer by C-STORE, or to a DICOMweb server by STOW-RS."""

    ae_title: str | None = None
    host: str | None = None
    port: int = _number(104, 1, 65535)
    url: str | None = None
    tls: TlsSettings | None = None


@dataclass(frozen=True)
class StudySettings:
    """The settings for the treatment of studies.

    Attributes:
        quiet_s: a study is complete when its association has ended and no image has come for this time.
        series: regular expression that names the series, as ``segment --series``.
        tie: ``finest`` or ``last``, as ``segment --tie``.
        picture: whether the picture is stored too, as a secondary capture.
        report_refusals: whether a report is stored for a study that cannot be segmented.
        keep_images_h: how long the images stay after the answer is stored.
    """

    quiet_s: float = _number(30, 0.1)
    series: str | None = None
    tie: str | None = None
    picture: bool = False
    report_refusals: bool = False
    keep_images_h: float = _number(0, 0)


@dataclass(frozen=True)
class LimitSettings:
    """Limits that keep a faulty peer, or a lot of work, from filling memory and disk."""

    object_mb: float = _number(256, 0.01, 4000)
    associations: int = _number(10, 1, 200)
    idle_s: float = _number(60, 1, 1e6)
    queue_gb: float = _number(20, 0.0001, 1e6)
    free_gb: float = _number(1, 0, 1e6)


@dataclass(frozen=True)
class MetricsSettings:
    """The port for health and metrics, on 127.0.0.1."""

    port: int = _number(9112, 1, 65535)


@dataclass(frozen=True)
class NodeSettings:
    """All settings of a node."""

    student: Path
    state: Path
    listen: ListenSettings
    pacs: PacsSettings
    study: StudySettings = field(default_factory=StudySettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)


def read_config(file: Path) -> NodeSettings:
    """Read the settings. A path that is not absolute starts at the file's folder.

    Raises:
        InputError: if the file cannot be read, or a key is missing, unknown or has a wrong value.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("cannot be read", file, "give the path of node.yaml", error.strerror or "") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "no text"
        raise InputError("is no YAML", file, "mend it", place) from error
    try:
        config = _read(NodeSettings, content, "", file.parent)
        _check(config)
    except InputError as error:
        raise error.at(file) from error
    return config


def _read(kind: type, content: object, place: str, folder: Path) -> Any:
    if not isinstance(content, Mapping):
        raise InputError(f"{place or 'its content'} is no list of keys and values", advice="see docs/how-to/node.md")
    fields = {one.name: one for one in dataclasses.fields(kind)}
    for key in content:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, 1)
            advice = f"did you mean {near[0]}?" if near else f"give {', '.join(fields)}"
            raise InputError(f"{_join(place, key)} is no key", advice=advice)
    values = {}
    hints = get_type_hints(kind)
    for name, one in fields.items():
        if content.get(name) is not None:
            values[name] = _value(one, hints[name], content[name], _join(place, name), folder)
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise InputError(f"{_join(place, name)} is missing", advice="add it")
    return kind(**values)


def _value(one: dataclasses.Field, hint: Any, said: object, place: str, folder: Path) -> Any:
    if isinstance(hint, types.UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not types.NoneType)
    if dataclasses.is_dataclass(hint):
        return _read(hint, said, place, folder)
    if hint == tuple[str, ...]:
        if not isinstance(said, list) or not said or not all(isinstance(part, str) for part in said):
            raise InputError(f"{place} is no list of texts", advice='give for example ["SCANNER1"]')
        return tuple(said)
    if hint is Path and isinstance(said, str):
        return folder / Path(said).expanduser()
    if hint is float and isinstance(said, int) and not isinstance(said, bool):
        said = float(said)
    if type(said) is not hint:
        raise InputError(f"{place} is {said!r}, not {KINDS[hint]}", advice="mend it")
    least, most = one.metadata.get("least", -math.inf), one.metadata.get("most", math.inf)
    if hint in (int, float) and not least <= said <= most:
        bounds = f"at least {least:g}" + (f" and at most {most:g}" if most < math.inf else "")
        raise InputError(f"{place} is {said:g}", advice=f"give {bounds}")
    return said


def _check(config: NodeSettings) -> None:
    """Refuse values that do not fit together."""
    titles = {"listen.ae_title": config.listen.ae_title, "pacs.ae_title": config.pacs.ae_title}
    titles |= {f"listen.allowed {title!r}": title for title in config.listen.allowed}
    for place, title in titles.items():
        if title is not None and not (
            0 < len(title.strip()) <= LONGEST_AE_TITLE and title.isascii() and "\\" not in title
        ):
            raise InputError(f"{place} is no AE title", advice=f"give 1 to {LONGEST_AE_TITLE} ASCII characters")
    pacs = config.pacs
    by_dicom = pacs.ae_title is not None and pacs.host is not None
    if by_dicom == (pacs.url is not None) or (pacs.url and (pacs.ae_title or pacs.host)):
        raise InputError(
            "pacs needs either ae_title, host and port (C-STORE) or url (STOW-RS)", advice="give one of them"
        )
    if pacs.url is not None and not pacs.url.startswith(("http://", "https://")):
        raise InputError("pacs.url is no address", advice="give http(s)://<root of DICOMweb>")
    tls = config.listen.tls
    if tls and not (tls.certificate and tls.key):
        raise InputError("listen.tls needs certificate and key", advice="add them")
    for place, one in (("listen.tls", tls), ("pacs.tls", pacs.tls)):
        for name, path in dataclasses.asdict(one).items() if one else ():
            if path is not None and not path.is_file():
                raise InputError(f"{place}.{name} names no file", advice=f"put the file at {path}")
    if pacs.tls and bool(pacs.tls.certificate) != bool(pacs.tls.key):
        raise InputError("pacs.tls needs certificate and key together", advice="give both or none")
    if config.limits.queue_gb * 1000 < config.limits.object_mb:
        raise InputError("limits.queue_gb is smaller than one object of limits.object_mb", advice="make it larger")


def _join(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)
