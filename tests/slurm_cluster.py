"""A Slurm cluster of one node on the loopback interface, with a configuration of its own."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager

DAEMONS = ("munged", "slurmctld", "slurmd")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={worker}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES State=UP
"""


def missing():
    """Return why there cannot be a cluster here, or nothing."""
    names = [name for name in (*DAEMONS, "setpriv") if not shutil.which(name, path=places())]
    if names:
        return (
            f"not installed: {', '.join(names)}; on Debian: apt-get install slurmctld slurmd munge"
        )
    return "" if os.geteuid() == 0 else "slurmd must be started by root"


def places():
    return os.environ["PATH"] + ":/usr/sbin:/sbin"


@contextmanager
def cluster(folder):
    """Start the daemons; give the environment that Slurm's commands need; end the daemons.

    They end with this process, too, when it is killed (`setpriv --pdeathsig`).
    """
    environment = configure(folder)
    log = (folder / "daemons.log").open("w")
    with ExitStack() as stack:
        stack.enter_context(log)
        for command in commands(folder):
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            stack.callback(end, daemon)
        stack.callback(cancel_all, environment)
        wait_until_idle(folder, environment)
        yield environment


def configure(folder):
    """Write the configuration and return the environment in which commands find it."""
    host = socket.gethostname().split(".")[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    controller, worker = free_ports(2)
    text = CONFIGURATION.format(
        folder=folder,
        host=host,
        controller=controller,
        worker=worker,
        cpus=os.cpu_count(),
        memory=memory,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text(without_cgroups())
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    # Snakemake's plugin starts srun without the variables of Slurm, SLURM_CONF among them.
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    path = f"{folder}/bin:{places()}"
    return os.environ | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": path}


def without_cgroups():
    """Return what keeps slurmd from control groups, which a container may lack.

    Slurm 24.11 does not start without them otherwise; 22.05 does, and does not know the setting.
    """
    found = subprocess.run(["slurmd", "-V"], env={"PATH": places()}, capture_output=True, text=True)
    version = tuple(map(int, found.stdout.split()[-1].split(".")[:2]))
    return "CgroupPlugin=disabled\n" if version >= (24, 11) else ""


def commands(folder):
    files = {
        "socket": "socket",
        "key-file": "key",
        "pid-file": "pid",
        "log-file": "log",
        "seed-file": "seed",
    }
    yield [
        "munged",
        "--foreground",
        "--force",
        *(f"--{k}={folder}/munge.{v}" for k, v in files.items()),
    ]
    yield ["slurmctld", "-D"]
    yield ["slurmd", "-D"]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until_idle(folder, environment):
    for _ in range(60):
        found = subprocess.run(
            ["sinfo", "-h", "-o", "%t"], env=environment, capture_output=True, text=True
        )
        if found.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = "".join(path.read_text()[-3000:] for path in sorted(folder.glob("*.log")))
    raise AssertionError(f"Slurm has no idle node after 30 s: {found.stdout}{found.stderr}\n{logs}")


def cancel_all(environment):
    subprocess.run(["scancel", "--user=root"], env=environment, capture_output=True, timeout=30)


def end(daemon):
    daemon.terminate()
    try:
        daemon.wait(15)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
