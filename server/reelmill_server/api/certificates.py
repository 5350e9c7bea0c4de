"""The certificate of the gRPC server, which follows its files: a renewed one is used from the next connection on."""

import ssl
from pathlib import Path

import grpc
import structlog

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.settings.api import ApiSettings
from reelmill_server.settings.group import both_names

_log = structlog.get_logger(__name__)
_Stamp = tuple[tuple[int, int, int], ...]


def server_credentials(settings: ApiSettings) -> grpc.ServerCredentials | None:
    """Return the credentials to serve with, or None without a certificate. With a client CA, each client needs a certificate
    of it.

    Raises ServiceUnavailable if the files cannot be read or do not belong together.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    files = _CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    needs_certificate = settings.tls_client_ca is not None
    # None is "unchanged", which the stubs do not know.
    return grpc.dynamic_ssl_server_credentials(files.first(), files.changed, needs_certificate)  # type: ignore[arg-type]


class _CertificateFiles:
    """A certificate chain, its private key and, if clients need certificates, the CA of those: PEM files."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._stamp: _Stamp = ()

    def first(self) -> grpc.ServerCertificateConfiguration:
        """Read the files. Raises ServiceUnavailable."""
        try:
            self._stamp = self._current_stamp()
            return self._read()
        except (OSError, ValueError) as error:
            names = f"{both_names('tls_certificate')}, {both_names('tls_key')}"
            raise ServiceUnavailable(f"{names}: the certificate cannot be used: {_reason(error)}") from error

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the certificate if its files changed since the last call, else None; gRPC calls this for each connection.

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

    def _read(self) -> grpc.ServerCertificateConfiguration:
        # gRPC would take a key that belongs to another certificate, and refuse every client.
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trial.load_cert_chain(self._certificate, self._key, password=_no_password)
        roots = None if self._client_ca is None else self._client_ca.read_bytes()
        if roots is not None:
            trial.load_verify_locations(cadata=roots.decode("ascii"))
        return grpc.ssl_server_certificate_configuration([(self._key.read_bytes(), self._certificate.read_bytes())], roots)


def _no_password() -> str:
    raise ValueError("the private key is encrypted")  # OpenSSL would ask for its password on the terminal


def _reason(error: Exception) -> str:
    """Return why, without paths or what the files hold."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "it is malformed"
    return (error.strerror or "it cannot be read") if isinstance(error, OSError) else str(error)
