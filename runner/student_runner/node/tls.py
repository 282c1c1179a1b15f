"""Encryption of connections, from the settings ``listen.tls`` and ``pacs.tls``."""

import ssl

from custom_components.foundation.errors import InputError
from student_runner.node.config import TlsSettings


def server_context(tls: TlsSettings) -> ssl.SSLContext:
    """The encryption of the server's side. With a ``ca``, a peer must show a certificate that it signed.

    Raises:
        InputError: if a certificate or key cannot be read.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load(context, tls)
    if tls.ca:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: TlsSettings) -> ssl.SSLContext:
    """The encryption of the client's side.

    Raises:
        InputError: if a certificate or key cannot be read.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    _load(context, tls)
    return context


def _load(context: ssl.SSLContext, tls: TlsSettings) -> None:
    try:
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key)
        if tls.ca:
            context.load_verify_locations(tls.ca)
    except OSError as error:  # SSLError too
        where = tls.certificate or tls.ca
        raise InputError(
            "certificate, key or ca cannot be read", where, "give PEM files", type(error).__name__
        ) from error
