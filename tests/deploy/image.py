"""`python -m tests.deploy.image`: the Dockerfile's steps in chroots, where no container engine is. As root, on Debian.

Reads the instructions and does them: FROM (a debootstrap of the same base, or an earlier stage), RUN, COPY, ENV and
WORKDIR. What an engine only notes is used at the end: the daemon is started as one would start it, on a volume that
belongs to root, asked whether it is ready, and stopped; then the demo runs. Prints what each stage takes on the disk.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BASE = "debian:bookworm-slim"
NOTED = ("EXPOSE", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD", "USER")


@dataclass
class Step:
    """One instruction; `here` is the text of a here-document."""

    name: str
    words: str
    here: str | None = None


@dataclass
class Stage:
    """An image as it grows."""

    root: Path
    env: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    workdir: str = "/"
    noted: dict[str, str] = field(default_factory=dict)


def steps(text: str) -> list[Step]:
    """The instructions of a Dockerfile. Raises ValueError for a line that begins none."""
    lines = iter(text.splitlines())
    found: list[Step] = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        while line.endswith("\\"):
            line = line[:-1] + next(lines).lstrip()
        name, _, words = line.partition(" ")
        if not re.fullmatch(r"[A-Z]+", name):
            raise ValueError(f"no instruction: {line}")
        here = None
        if heredoc := re.search(r"<<'(\w+)'", words):
            here = "".join(text + "\n" for text in iter(lambda: next(lines), heredoc[1]))
        found.append(Step(name, words.strip(), here))
    return found


class Builder:
    """Does the steps below a directory."""

    def __init__(self, directory: Path, bootstrap: Path) -> None:
        self._directory = directory
        self._bootstrap = bootstrap
        self._stages: dict[str, Stage] = {}
        self.stage: Stage | None = None

    def do(self, step: Step) -> None:
        print(f"+ {step.name} {step.words[:110]}", flush=True)
        if step.name == "FROM":
            self._from(step.words)
            return
        stage = self.stage
        assert stage is not None, "before FROM"
        if step.name == "RUN":
            self.run(["/bin/sh", "-c", step.words])
        elif step.name == "COPY":
            self._copy(stage, step)
        elif step.name == "ENV":
            stage.env |= {name: value for name, _, value in (word.partition("=") for word in shlex.split(step.words))}
        elif step.name == "WORKDIR":
            stage.workdir = step.words
            (stage.root / step.words.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.name in NOTED:
            stage.noted[step.name] = step.words
        else:
            raise ValueError(f"{step.name} is not understood")

    def _from(self, words: str) -> None:
        source, _, name = words.partition(" AS ")
        root = self._directory / (name or "last")
        before = self._stages.get(source)
        if before is None:
            assert source == BASE, f"a debootstrap of {BASE} only, not of {source}"
            before = Stage(self._bootstrap)
        subprocess.run(["cp", "-a", "--reflink=auto", before.root, root], check=True)
        self.stage = Stage(root, dict(before.env), before.workdir)
        self._stages[name or "last"] = self.stage

    def _copy(self, stage: Stage, step: Step) -> None:
        *sources, target = [word for word in step.words.split() if not word.startswith(("--", "<<"))]
        into = stage.root / os.path.join(stage.workdir, target).lstrip("/")
        into.parent.mkdir(parents=True, exist_ok=True)
        if step.here is not None:
            into.write_text(step.here)
        found = re.search(r"--from=(\w+)", step.words)
        base = self._stages[found[1]].root if found else ROOT
        for source in sources:
            path = base / source.lstrip("/")
            place = into / path.name if target.endswith("/") and path.is_file() else into
            if path.is_dir():
                shutil.copytree(
                    path,
                    place,
                    symlinks=True,
                    dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns(*([] if found else ["__pycache__"])),
                )
            else:
                shutil.copy2(path, place)
        if mode := re.search(r"--chmod=(\d+)", step.words):
            into.chmod(int(mode[1], 8))

    def popen(self, command: list[str], **more: str) -> "subprocess.Popen[bytes]":
        """Start a program inside. Settings for package registries are the machine's, and go no further."""
        stage = self.stage
        assert stage is not None
        inside = [
            "chroot",
            str(stage.root),
            "/usr/bin/env",
            "-i",
            *(f"{k}={v}" for k, v in {**stage.env, **more}.items()),
        ]
        return subprocess.Popen([*inside, "/bin/sh", "-c", f'cd "{stage.workdir}" && exec "$@"', "sh", *command])

    def run(self, command: list[str]) -> None:
        """Raises CalledProcessError."""
        registries = {
            name: value for name, value in os.environ.items() if re.match(r"PIP_|.*_proxy$", name, re.IGNORECASE)
        }
        with self.popen(command, **registries, DEBIAN_FRONTEND="noninteractive") as running:
            if running.wait():
                raise subprocess.CalledProcessError(running.returncode, command)


def size_mb(root: Path) -> float:
    """What lies below `root`, MB."""
    return int(subprocess.run(["du", "-sxB1", root], check=True, capture_output=True).stdout.split()[0]) / 1e6


def packed_mb(root: Path) -> float:
    """What of it goes over the network, about: layers are packed one by one."""
    packed = 0
    with subprocess.Popen(["tar", "-C", root, "-cz", "."], stdout=subprocess.PIPE) as packing:
        assert packing.stdout is not None
        while piece := packing.stdout.read(1 << 20):
            packed += len(piece)
    return packed / 1e6


def slim(root: Path) -> None:
    """What Debian's slim images leave out."""
    for name in ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / name)
        (root / name).mkdir()
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(
        "path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n"
    )
    (root / "etc/apt/apt.conf.d/docker-clean").write_text(
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n'
    )


def lend(root: Path, paths: list[Path]) -> None:
    """What this machine's way to the registries needs inside: certificates, names, folders of wheels."""
    for path in paths:
        if path.exists():
            target = root / str(path.resolve()).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-aL", "--remove-destination", "--no-target-directory", path, target], check=True)


def ready() -> dict[str, object]:
    """What the daemon says of itself. Raises URLError."""
    with urllib.request.urlopen("http://127.0.0.1:8000/ready", timeout=10) as answer:
        return dict(json.load(answer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", type=Path, help="a debootstrap --variant=minbase that is there already")
    parser.add_argument("--lend", type=Path, action="append", default=[], help="of this machine, while the steps run")
    parser.add_argument("--keep", type=Path, help="where the stages are kept")
    options = parser.parse_args()
    directory = options.keep or Path(tempfile.mkdtemp())
    directory.mkdir(parents=True, exist_ok=True)
    bootstrap = directory / "bootstrap"
    if options.bootstrap is None:
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", bootstrap], check=True)
    else:
        subprocess.run(["cp", "-a", "--reflink=auto", options.bootstrap, bootstrap], check=True)
    slim(bootstrap)
    lend(bootstrap, [Path("/etc/resolv.conf"), *options.lend])
    builder = Builder(directory, bootstrap)
    try:
        for step in steps((ROOT / "Dockerfile").read_text()):
            builder.do(step)
        assert builder.stage is not None
        for name in ("bootstrap", "base", "build", "last"):
            print(f"{name:10} {size_mb(directory / name):6.0f} MB")
        print(f"packed     {packed_mb(directory / 'last'):6.0f} MB")
        print(json.dumps(serve(builder), indent=2))
    finally:
        if options.keep is None:
            shutil.rmtree(directory)


def serve(builder: Builder) -> dict[str, object]:
    """Start the last stage as an engine would, as root on a volume of root's, and look at it; then the demo."""
    stage = builder.stage
    assert stage is not None
    os.chown(stage.root / "data", 0, 0)
    entry = json.loads(stage.noted["ENTRYPOINT"])
    subprocess.run(["mount", "-t", "proc", "proc", stage.root / "proc"], check=True)
    try:
        began = time.monotonic()
        running = builder.popen([*entry, *json.loads(stage.noted["CMD"])])
        try:
            said = wait_ready()
            owner = os.stat(f"/proc/{daemon_of(running.pid)}").st_uid
            took = time.monotonic() - began
        finally:
            running.send_signal(signal.SIGTERM)
            status = running.wait(timeout=30)
        builder.run([*entry, "vidprod", "demo", "--exit"])
    finally:
        subprocess.run(["umount", stage.root / "proc"], check=True)
    return {"ready": said, "seconds": round(took, 2), "uid": owner, "exit": status}


def daemon_of(pid: int) -> int:
    """The last of the line of children."""
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pid = int(children[0])
        if (
            b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
            and b"tini" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        ):
            break
    return pid


def wait_ready() -> dict[str, object]:
    """What /ready says. Raises TimeoutError after 60 s."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            return ready()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise TimeoutError("the daemon was not ready within 60 s")


if __name__ == "__main__":
    main()
