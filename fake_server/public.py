"""What users import from `fake_server`, which loads this with the first of these names."""

from fake_server.api import ProtectedApi
from fake_server.app import create_app
from fake_server.clients import RegisteredClient
from fake_server.clock import Clock
from fake_server.dialects import DIALECTS, Dialect, ErrorAnswer, Grant, entra_tenant
from fake_server.fault_queue import ArmedFault
from fake_server.faults import FAULTS, Fault, TransportFault
from fake_server.journal import Exchange
from fake_server.listener import Listener
from fake_server.options import OptionError, Options
from fake_server.refusals import Reason, Refusal
from fake_server.server import AuthorizationServer, Credentials

__all__ = [
    "DIALECTS",
    "FAULTS",
    "ArmedFault",
    "AuthorizationServer",
    "Clock",
    "Credentials",
    "Dialect",
    "ErrorAnswer",
    "Exchange",
    "Fault",
    "Grant",
    "Listener",
    "OptionError",
    "Options",
    "ProtectedApi",
    "Reason",
    "Refusal",
    "RegisteredClient",
    "TransportFault",
    "create_app",
    "entra_tenant",
]
