"""The certificate of the servers, which follows its files: a renewed one is used from the next connection on."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import grpc
import structlog

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.settings.api import ApiSettings
from reelmill_server.settings.group import both_names

_log = structlog.get_logger(__name__)
_Stamp = tuple[tuple[int, int, int], ...]
FormT = TypeVar("FormT")


def server_credentials(settings: ApiSettings) -> grpc.ServerCredentials | None:
    """Return the credentials to serve with, or None without a certificate. With a client CA, each client needs a certificate
    of it.

    Raises ServiceUnavailable if the files cannot be read or do not belong together.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    files = _CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, _grpc_form)
    needs_certificate = settings.tls_client_ca is not None
    # None is "unchanged", which the stubs do not know.
    return grpc.dynamic_ssl_server_credentials(files.first(), files.changed, needs_certificate)  # type: ignore[arg-type]


def http_context(settings: ApiSettings) -> ssl.SSLContext | None:
    """Return the context to serve HTTP with, or None without a certificate; clients as for gRPC.

    Raises ServiceUnavailable if the files cannot be read or do not belong together.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    files = _CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, _http_form)
    context = current = files.first()

    def follow(connection: ssl.SSLObject, *_: object) -> None:
        """Let a connection that begins use the certificate as it is now; OpenSSL calls this, whether it names a host or not."""
        nonlocal current
        current = files.changed() or current
        connection.context = current

    context.sni_callback = follow
    return context


def _grpc_form(_: ssl.SSLContext, key: bytes, certificate: bytes, roots: bytes | None) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(key, certificate)], roots)


def _http_form(context: ssl.SSLContext, _: bytes, __: bytes, roots: bytes | None) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if roots is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class _CertificateFiles(Generic[FormT]):
    """A certificate chain, its private key and, if clients need certificates, the CA of those: PEM files, in some form."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None, form: Callable[..., FormT]) -> None:
        self._certificate, self._key, self._client_ca, self._form = certificate, key, client_ca, form
        self._stamp: _Stamp = ()

    def first(self) -> FormT:
        """Read the files. Raises ServiceUnavailable."""
        try:
            self._stamp = self._current_stamp()
            return self._read()
        except (OSError, ValueError) as error:
            names = f"{both_names('tls_certificate')}, {both_names('tls_key')}"
            raise ServiceUnavailable(f"{names}: the certificate cannot be used: {_reason(error)}") from error

    def changed(self) -> FormT | None:
        """Return the certificate if its files changed since the last call, else None; it is asked for each connection.

        While the files are being written, or do not fit together, the one before stays.
        """
        try:
            stamp = self._current_stamp()
            if stamp == self._stamp:
                return None
            self._stamp = stamp
            configuration = self._read()
        except (OSError, ValueError) as error:
            _log.warning("the new certificate cannot be used, the one before stays", reason=_reason(error))
            return None
        _log.info("the certificate was read again")
        return configuration

    def _current_stamp(self) -> _Stamp:
        files = (self._certificate, self._key, self._client_ca)
        states = (file.stat() for file in files if file is not None)
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)

    def _read(self) -> FormT:
        # gRPC would take a key that belongs to another certificate, and refuse every client.
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trial.load_cert_chain(self._certificate, self._key, password=_no_password)
        roots = None if self._client_ca is None else self._client_ca.read_bytes()
        if roots is not None:
            trial.load_verify_locations(cadata=roots.decode("ascii"))
        return self._form(trial, self._key.read_bytes(), self._certificate.read_bytes(), roots)


def _no_password() -> str:
    raise ValueError("the private key is encrypted")  # OpenSSL would ask for its password on the terminal


def _reason(error: Exception) -> str:
    """Return why, without paths or what the files hold."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "it is malformed"
    return (error.strerror or "it cannot be read") if isinstance(error, OSError) else str(error)
