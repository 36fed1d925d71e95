"""SIGHUP: read the certificate, the lists, the table of networks and the operator's token again.

Rule: what cannot be read or does not fit together leaves in use what is, and is logged.
"""

import asyncio
import logging
import ssl

from collector import asn, operator_token, target_labels
from collector.service import Service
from collector.settings import CollectorSettings, SettingsError
from probe.asn_table import AsnTableError
from probe.targets import TargetError

log = logging.getLogger("qazcollector")


def tls_context(settings: CollectorSettings) -> ssl.SSLContext | None:
    """The context of the public address; None when it is served without TLS.

    Raises:
        SettingsError: The certificate or its key cannot be used.
    """
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"TLS certificate {settings.tls_cert}: {error}") from error
    return context


async def reload(service: Service, context: ssl.SSLContext | None) -> None:
    """Read everything again; connections and requests go on."""
    settings = service.settings
    try:
        if context is not None and settings.tls_cert is not None:
            tls_context(settings)  # a certificate without its key must not replace the present one
            context.load_cert_chain(settings.tls_cert, settings.tls_key)
        labels, complaints = await asyncio.to_thread(target_labels.load, settings.targets)
        if settings.asn_table is not None:
            service.asn_table = await asyncio.to_thread(asn.load, settings.asn_table)
        if settings.operator_token_file is not None:
            service.operator_token = operator_token.load(settings.operator_token_file)
    except (SettingsError, TargetError, AsnTableError, OSError) as error:
        log.error("reload: %s; what was in use stays", error)  # noqa: TRY400 - one line for the operator
        return
    for complaint in complaints:
        log.warning("%s", complaint)
    service.labels.become(labels)
    service.instruments.listed.set(len(labels))
    service.judging.reload()
    service.snapshots.touch()
    log.warning("reloaded: certificate, %d targets, table of networks", len(labels))
