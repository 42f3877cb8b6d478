"""What has an operating system start a role of brender by itself: a unit of systemd, a job of launchd, a task of Windows. Pure.

systemd's is tried; the others are written by their documentation, and were not run.
"""

import plistlib
import subprocess  # nosec B404 (it starts nothing)
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Literal
from xml.etree import ElementTree as xml  # nosec B405 (written here, never read)

Role = Literal["server", "manager", "worker", "dashboard", "farm", "scale"]
ROLES: tuple[Role, ...] = ("server", "manager", "worker", "dashboard", "farm", "scale")

#: Where the data of a service lies on a machine with systemd that is nobody's own; it makes that folder.
STATE = PurePosixPath("/var/lib/brender")
#: Exit code of a role that cannot be started as it was asked to be: to start it again would not help.
BAD_INPUT = 2
_WATCHDOG_SECONDS = 60
#: Roles with a loop that tells the service manager that it lives.
_WATCHED = ("server", "manager", "worker")
#: Roles that start renders: these have rights of their own to lose (brender.engines.confine).
_RENDERS = ("worker", "farm")
#: Of these, workers that it started go on after it has ended, and are found again.
_LEAVES_WORKERS = ("scale",)
#: How long a role may take to end: a worker finishes its frame.
_STOP_SECONDS = {"worker": 900, "manager": 900, "farm": 120}
_USUAL_STOP_SECONDS = 60
_WINDOWS = "http://schemas.microsoft.com/windows/2004/02/mit/task"

#: What a unit begins with that was made here.
MADE_BY_BRENDER = "# Made by brender service install."
_OF_RENDERS = ("# A render that needs too much memory is no reason to end its worker.", "OOMPolicy=continue")
#: What no role needs (systemd.exec(5)).
_SANDBOX = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "ProtectSystem=full",
    "ProtectControlGroups=yes",
    "ProtectKernelModules=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "UMask=0022",
)
#: What a role that renders needs: renders are confined by namespaces of their own (bubblewrap), and a /proc that is covered in
#: part cannot be mounted in one (user_namespaces(7)); a GPU is a device.
_SANDBOX_BUT_FOR_RENDERS = (
    "RestrictNamespaces=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelLogs=yes",
    "ProtectProc=invisible",
    "PrivateDevices=yes",
    "SystemCallFilter=@system-service",
)


@dataclass(frozen=True)
class Service:
    """A *role* that an operating system is to start.

    *words*: the program and all of its arguments. *account*: who runs it, or "" for the one whose service it is. *folder*: its
    data folder. *is_placeholder*: nobody named the account; it has to be filled in before the file is used.
    """

    role: Role
    name: str
    words: tuple[str, ...]
    folder: PurePath
    account: str = ""
    is_placeholder: bool = False

    @property
    def description(self) -> str:
        return f"brender {self.role}" + ("" if self.name == f"brender-{self.role}" else f" ({self.name})")


def systemd_unit(service: Service) -> str:
    """Return the unit for *service* (systemd.service(5)): of the system where it has an account, else of a user."""
    of_system = bool(service.account)
    lines = [
        MADE_BY_BRENDER,
        "[Unit]",
        f"Description={service.description.replace('%', '%%')}",
        *(["Wants=network-online.target", "After=network-online.target"] if of_system else []),
        "# However often it fails, it is started again; one that left as the farm asked it to stays away.",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={' '.join(map(_quoted, service.words))}",
        *(["# Nobody named an account. Put here the one that is to run this."] if service.is_placeholder else []),
        *([f"User={service.account}"] if of_system else []),
        *([f"StateDirectory={STATE.name}", "StateDirectoryMode=0750"] if of_system and service.folder == STATE else []),
        "Restart=on-failure",
        "RestartSec=5",
        "# What it was told cannot be: only a person can change that.",
        f"RestartPreventExitStatus={BAD_INPUT}",
        *([f"WatchdogSec={_WATCHDOG_SECONDS}"] if service.role in _WATCHED else []),
        *_kill_mode(service),
        f"TimeoutStopSec={_STOP_SECONDS.get(service.role, _USUAL_STOP_SECONDS)}",
        *(_OF_RENDERS if _renders(service) else ()),
        "LimitNOFILE=65536",
        *(_sandbox(service) if of_system else []),
        "",
        "[Install]",
        f"WantedBy={'multi-user.target' if of_system else 'default.target'}",
    ]
    return "\n".join(lines) + "\n"


def launchd_job(service: Service) -> bytes:
    """Return the property list for *service* (launchd.plist(5)). It was not run."""
    job: dict[str, object] = {
        "Label": f"org.brender.{service.name.removeprefix('brender-')}",
        "ProgramArguments": list(service.words),
        "RunAtLoad": True,
        # Started again unless it ended well: launchd knows no exit codes after which it should not.
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": _STOP_SECONDS.get(service.role, _USUAL_STOP_SECONDS),
        "ProcessType": "Interactive" if _renders(service) else "Standard",
        "SoftResourceLimits": {"NumberOfFiles": 65536},
        "StandardOutPath": str(service.folder / f"{service.name}.log"),
        "StandardErrorPath": str(service.folder / f"{service.name}.log"),
    }
    if service.account:
        job["UserName"] = service.account
    return plistlib.dumps(job)


def windows_task(service: Service) -> bytes:
    """Return the task for *service*, for ``schtasks /Create /XML`` (Task Scheduler Schema, version 1.2). It was not run.

    A task, not a service: a service of Windows is a program that answers the service control manager, which brender is not.
    """
    task = xml.Element("Task", {"version": "1.2", "xmlns": _WINDOWS})
    xml.SubElement(xml.SubElement(task, "RegistrationInfo"), "Description").text = service.description
    trigger = xml.SubElement(xml.SubElement(task, "Triggers"), "BootTrigger")
    xml.SubElement(trigger, "Enabled").text = "true"
    principal = xml.SubElement(xml.SubElement(task, "Principals"), "Principal", {"id": "Author"})
    if service.account:
        xml.SubElement(principal, "UserId").text = service.account
    xml.SubElement(principal, "LogonType").text = "S4U"
    xml.SubElement(principal, "RunLevel").text = "LeastPrivilege"
    settings = xml.SubElement(task, "Settings")
    for name, value in (
        ("MultipleInstancesPolicy", "IgnoreNew"),
        ("DisallowStartIfOnBatteries", "false"),
        ("StopIfGoingOnBatteries", "false"),
        ("StartWhenAvailable", "true"),
        ("RunOnlyIfNetworkAvailable", "false"),
    ):
        xml.SubElement(settings, name).text = value
    again = xml.SubElement(settings, "RestartOnFailure")
    xml.SubElement(again, "Interval").text = "PT1M"
    xml.SubElement(again, "Count").text = "999"
    xml.SubElement(settings, "ExecutionTimeLimit").text = "PT0S"
    action = xml.SubElement(xml.SubElement(task, "Actions", {"Context": "Author"}), "Exec")
    xml.SubElement(action, "Command").text = service.words[0]
    xml.SubElement(action, "Arguments").text = subprocess.list2cmdline(service.words[1:])
    xml.SubElement(action, "WorkingDirectory").text = str(service.folder)
    xml.indent(task)
    return bytes(xml.tostring(task, "utf-16", xml_declaration=True))


def _renders(service: Service) -> bool:
    return service.role in _RENDERS or service.role in _LEAVES_WORKERS


def _kill_mode(service: Service) -> tuple[str, str]:
    """Return which of its processes systemd ends (systemd.kill(5)), and why."""
    if service.role in _LEAVES_WORKERS:
        return "# Its workers go on when it ends; started again, it finds them.", "KillMode=process"
    return "# Only the role itself is asked to end: it lets its renders finish, and ends them.", "KillMode=mixed"


def _sandbox(service: Service) -> list[str]:
    if _renders(service):
        return ["", "# What renders may do is set by --sandbox.", *_SANDBOX]
    return ["", *_SANDBOX, *_SANDBOX_BUT_FOR_RENDERS]


def _quoted(word: str) -> str:
    """Return *word* as one of a command line in a unit (systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers")."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$").replace("\n", "\\n")
    is_plain = bool(word) and not any(letter.isspace() or letter in "\"'\\;" for letter in word)
    return escaped if is_plain else f'"{escaped}"'
