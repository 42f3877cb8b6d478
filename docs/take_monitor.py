"""Takes the pictures of the monitor that docs/howto/monitor.rst shows: its three views of a small farm at work (SVG).

python docs/take_monitor.py
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path

from brender.api.jobspec import command_job
from brender.api.place import as_client
from brender.bus.address import ServerAddresses
from brender.bus.keys import KeyPair
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.keys import KeyRole
from brender.monitor.app import Monitor
from brender.monitor.feed import Feed
from brender.monitor.session import LiveSession
from brender.store.datafolder import DataFolder

HERE = Path(__file__).parent / "recordings"
SIZE = (120, 28)
#: Seconds that the farm works before the pictures are taken.
WORK_SECONDS = 14.0
JOBS = (("sh_010_lighting", "1-12", 80), ("sh_020_fx", "1001-1048", 50), ("sh_030_comp", "1-96", 50))
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


async def take(addresses: ServerAddresses, pair: KeyPair) -> None:
    """Write a picture of each view."""
    session = LiveSession(Feed(addresses, pair, KeyRole.ADMIN, "anna").start())
    app = Monitor(session)
    async with app.run_test(size=SIZE) as pilot:
        await asyncio.sleep(WORK_SECONDS)
        for key, name in (("1", "farm"), ("2", "bus"), ("3", "tail")):
            await pilot.press(key)
            await asyncio.sleep(1.0)
            picture = app.export_screenshot(title="brender-monitor")
            # (Its font would be loaded from elsewhere.)
            (HERE / f"monitor-{name}.svg").write_text(_FONT.sub("", picture), "utf-8")
    session.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = DataFolder(Path(folder) / "data")
        with LocalFarm(FarmPlan(folder=data, workers=3, any_ports=True, with_dashboard=False)) as farm:
            with client(None, farm.folder.root) as connection:
                for name, frames, priority in JOBS:
                    program = (sys.executable, "-c", "import time; time.sleep(0.7)")
                    connection.submit(command_job(program, {"frames": frames}, name, priority=priority))
            time.sleep(1.0)
            asyncio.run(take(*as_client(None, farm.folder)))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
