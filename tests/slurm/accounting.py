"""SLURM's accounting: slurmdbd over a MariaDB without users, both in one folder. `sacct` asks it how jobs ended.

    with accounting(folder, munge_socket, environment) as port: ...

slurm.conf names the port as AccountingStoragePort.
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from getpass import getuser
from pathlib import Path

from tests.slurm.daemons import START_S, daemon, free_ports, search_path, tail, wait_until

PROGRAMS = ("mariadbd", "slurmdbd", "sacct", "sacctmgr")
_TABLES = Path("/usr/share/mysql/mysql_system_tables.sql")  # of the package mariadb-server-core
_CONFIGURATION = """
DbdHost=localhost
DbdPort={port}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={munge}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser={user}
PidFile={folder}/slurmdbd.pid
"""


@contextmanager
def accounting(folder: Path, munge: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """Starts both and waits until slurmdbd answers; `environment` names slurm.conf's place."""
    port, database = free_ports(2)
    files = [f"--datadir={folder}/database", f"--user={getuser()}", "--innodb-buffer-pool-size=16M"]
    (folder / "database").mkdir()
    subprocess.run(
        ["mariadbd", "--no-defaults", "--bootstrap", *files],
        input="CREATE DATABASE mysql;\nUSE mysql;\n" + _TABLES.read_text(encoding="utf-8"),
        env={"PATH": search_path()}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    configuration = folder / "slurmdbd.conf"
    configuration.write_text(
        _CONFIGURATION.format(port=port, database=database, user=getuser(), munge=munge, folder=folder)
    )
    configuration.chmod(0o600)
    reached = ["--bind-address=127.0.0.1", f"--port={database}", f"--socket={folder}/database.socket"]
    with ExitStack() as daemons:
        log = folder / "mariadbd.log"
        daemons.enter_context(
            daemon(log, environment, "mariadbd", "--no-defaults", *files, *reached, "--skip-grant-tables")
        )
        wait_until((folder / "database.socket").exists, START_S, lambda: tail(log))
        log = folder / "slurmdbd.log"
        daemons.enter_context(daemon(log, environment, "slurmdbd", "-D"))
        wait_until(lambda: "started" in tail(log), START_S, lambda: tail(log))
        yield port
