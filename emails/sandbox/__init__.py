"""The sandbox: a provider on this machine that mails nobody, keeps everything, and shows an inbox page."""

from emails.sandbox.app import create_app
from emails.sandbox.record import SandboxRecord
from emails.sandbox.server import SandboxServer, serve, serve_in_thread

__all__ = ["SandboxRecord", "SandboxServer", "create_app", "serve", "serve_in_thread"]
