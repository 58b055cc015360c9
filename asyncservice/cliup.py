"""The command that runs the service on this machine: `asyncservice up`."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import click
from pydantic import ValidationError

from asyncservice import clioptions, devhost, storagechoice
from asyncservice.client import AsyncServiceClient
from asyncservice.settings import STORAGE_SETTING, Settings
from asyncservice.storagechoice import Running


@click.command()
@click.option("--port", default=7071, show_default=True, help="Where the host serves HTTP; 0 for any free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="On which address; others need authentication.")
@click.option("--https", is_flag=True, help="Serve https, by a certificate authority that is made on first use.")
@click.option("--storage-port", default=10000, show_default=True, help="Blob port of the emulator; queue +1, table +2.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Where the emulator keeps its data.")
def up(port: int, host: str, storage_port: int, data: Path | None, *, https: bool) -> None:
    """Run the service here until Ctrl-C: the storage emulator, unless a connection string is set, and the host."""
    address = Address(host, port)
    address.check(_settings())
    folder = data or storagechoice.app_folder() / storagechoice.STATE_FOLDER / "data"
    sys.exit(clioptions.run(_up(address, storage_port, folder, https=https)))


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        told = [
            ": ".join([*(f"ASYNCSERVICE_{str(name).upper()}" for name in each["loc"]), each["msg"]])
            for each in error.errors()
        ]
        raise click.ClickException(f"The settings cannot be used. {'; '.join(told)}") from error


@dataclass(frozen=True, slots=True)
class Address:
    """Where the host serves."""

    host: str
    port: int

    def check(self, settings: Settings) -> None:
        """Raise ClickException when others could call and nobody would ask them who they are."""
        if not devhost.is_loopback(self.host) and not settings.asks_for_tokens:
            raise click.ClickException(
                f"Others can reach {self.host}, and nobody would ask them who they are. Serve on 127.0.0.1, or say "
                "whose tokens are good: ASYNCSERVICE_AUTH_TENANT and ASYNCSERVICE_AUTH_AUDIENCE."
            )


async def _up(address: Address, storage_port: int, folder: Path, *, https: bool) -> int:
    try:
        tls = devhost.local_tls(folder / "https") if https else None
        if storagechoice.named_by_environment():
            return await _serve(address, os.environ.get(STORAGE_SETTING, ""), {}, tls)
        async with devhost.Azurite(port=storage_port, data=folder) as emulator:
            # Whoever reads "ready" may write to the queues at once, so they are made before the host starts.
            async with AsyncServiceClient.from_connection_string(emulator.connection_string) as client:
                await client.ping()
            settings = {STORAGE_SETTING: emulator.connection_string}
            return await _serve(address, emulator.connection_string, settings, tls)
    except devhost.HostError as error:
        raise click.ClickException(str(error)) from error


async def _serve(
    address: Address, connection_string: str, settings: dict[str, str], tls: devhost.LocalTls | None
) -> int:
    def ready(url: str) -> None:
        if connection_string:
            storagechoice.leave_note(Running(os.getpid(), url, connection_string))
        if tls is not None:
            click.echo(f"certificate authority {tls.authority}")
        click.echo(f"ready {url}")

    try:
        return await devhost.run(
            storagechoice.app_folder(),
            settings=settings,
            host=address.host,
            port=address.port,
            tls=None if tls is None else tls.context,
            ready=ready,
        )
    finally:
        storagechoice.take_note_away()
