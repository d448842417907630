"""A SLURM of two nodes on this machine, in a folder of its own: the real daemons, without root rights or files in /etc.

    with cluster(folder) as slurm:
        slurm.ask("sbatch", "job.sh")
        slurm.wait(60)
        slurm.finished()       # [Finished(name="job.sh", state="COMPLETED", node="n1")]

It needs Debian's packages slurmctld, slurmd, slurmdbd, slurm-client, munge and mariadb-server-core. Each node has one
CPU and runs one job at a time. Not here: limits on memory and GPUs, which need cgroups.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from rest_react.processes.cores import usable_cores
from tests.slurm import accounting
from tests.slurm.daemons import START_S, STOP_S, daemon, free_ports, search_path, tail, wait_until

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "sinfo", *accounting.PROGRAMS)
_CONFIGURATION = """
ClusterName=loopback
SlurmctldHost=localhost
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={accounts}
AccountingStoragePass={folder}/munge.socket
SelectType=select/linear
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that has ended: its state is COMPLETED, FAILED, CANCELLED, TIMEOUT or NODE_FAIL."""

    name: str
    state: str
    node: str


@dataclass(frozen=True, slots=True)
class Slurm:
    """A running cluster; with `environment`, SLURM's commands find it."""

    folder: Path
    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """The output of one of SLURM's commands."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def wait(self, seconds: float) -> None:
        """Waits until no job is queued or runs."""
        wait_until(lambda: not self.ask("squeue", "--noheader").strip(), seconds, lambda: self.ask("squeue"))

    def finished(self) -> list[Finished]:
        """The jobs that have ended, in the order of their numbers."""
        columns = "--format=JobName,State,NodeList"
        lines = self.ask("sacct", "--allusers", "--allocations", "--noheader", "--parsable2", columns).splitlines()
        jobs = (line.split("|") for line in lines)
        return [Finished(name, state.split()[0], node) for name, state, node in jobs]


def missing() -> list[str]:
    """The programs that this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]


@contextmanager
def cluster(folder: Path) -> Iterator[Slurm]:
    """Starts the cluster and waits until both nodes are idle. In the end it cancels all jobs and stops all daemons."""
    (folder / "state").mkdir(parents=True)
    slurm = Slurm(folder, {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": search_path()})
    with ExitStack() as daemons:
        daemons.enter_context(_munge(slurm))
        socket = folder / "munge.socket"
        accounts = daemons.enter_context(accounting.accounting(folder, socket, slurm.environment))
        controller, *ports = free_ports(1 + len(NODES))
        address = f"NodeHostname=localhost NodeAddr=127.0.0.1 CPUs={usable_cores()} State=UNKNOWN"
        nodes = [f"NodeName={name} Port={port} {address}" for name, port in zip(NODES, ports, strict=True)]
        filled = {"controller": controller, "accounts": accounts, "nodes": "\n".join(nodes)}
        (folder / "slurm.conf").write_text(_CONFIGURATION.format(user=getuser(), folder=folder, **filled))
        slurm.ask("sacctmgr", "--immediate", "add", "cluster", "loopback")
        log = folder / "slurmctld.log"
        daemons.enter_context(daemon(log, slurm.environment, "slurmctld", "-D"))
        for name in NODES:
            (folder / f"spool-{name}").mkdir()
            daemons.enter_context(daemon(folder / f"{name}.log", slurm.environment, "slurmd", "-D", "-N", name))
        wait_until(lambda: _idle(slurm) == len(NODES), START_S, lambda: tail(log))
        try:
            yield slurm
        finally:
            slurm.ask("scancel", "--user", getuser())
            slurm.wait(STOP_S)


@contextmanager
def _munge(slurm: Slurm) -> Iterator[None]:
    """Munge with a key of its own: the daemons know each other by it."""
    key = slurm.folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={slurm.folder}/munge.{ending}" for option, ending in files.items()]
    log = slurm.folder / "munged.log"
    with daemon(log, slurm.environment, "munged", "--foreground", "--force", *options):  # force: a private folder
        wait_until((slurm.folder / "munge.socket").exists, START_S, lambda: tail(log))
        yield


def _idle(slurm: Slurm) -> int:
    command = ("sinfo", "--noheader", "--Node", "--format=%T")
    done = subprocess.run(command, env={**os.environ, **slurm.environment}, capture_output=True, text=True, check=False)
    return done.stdout.split().count("idle")
