"""Reads the rows of a scan so that leaving off early closes what is open behind it."""

from collections.abc import AsyncGenerator

from asyncservice.organization.sources import Scan, Values


async def rows_of(scan: Scan) -> AsyncGenerator[Values]:
    """Yield a scan's rows; closing this closes the scan, so that no request is left waiting for a reader."""
    try:
        async for row in scan.rows:
            yield row
    finally:
        if isinstance(scan.rows, AsyncGenerator):
            await scan.rows.aclose()
