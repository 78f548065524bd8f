"""Holds what the files of a deployment say against the program and against each other.

Usage: files.py PROGRAM, in the top folder of the repository.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

KUBERNETES = Path("deploy/kubernetes")
UNIT = Path("deploy/systemd/processor@.service")
FILE = Path("settings/cluster.toml")
# Read by the program, but no settings.
OTHERS = {"PROCESSOR_ENV", "RUST_LOG"}
SECRETS = {"POSTGRES_PASSWORD": "0123abcd", "OPS_INGEST_TOKEN": "a-long-random-text"}


def known() -> set[str]:
    """Every setting of the program: the default file, which is made from the code, has all."""
    text = Path("settings/default.toml").read_text()
    return {name.upper() for name in re.findall(r"^(?:# )?([a-z0-9_]+) = ", text, re.MULTILINE)}


def interpolated(text: str) -> str:
    """A value of a compose file, as compose fills it in: ${NAME:-default} or ${NAME:?message}."""

    def value(match: re.Match) -> str:
        name, kind, rest = match.groups()
        return SECRETS[name] if kind == ":?" else rest

    return re.sub(r"\$\{([A-Z0-9_]+)(:\?|:-)([^}]*)\}", value, text)


def check(program: str, what: str, environment: dict[str, str], folder: Path) -> None:
    """The program takes these settings, and every name in them is one of its own."""
    unknown = set(environment) - known() - OTHERS
    assert not unknown, f"{what}: no settings: {sorted(unknown)}"
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [Path(program).resolve(), "check"], env=inherited | environment, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{what}: {done.stderr}"
    shown = done.stdout.splitlines()
    for name in ("LIVE_WS_DRAIN_DELAY_MS", "LIVE_WS_DRAIN_TIMEOUT_MS"):
        if name in environment:
            assert f"{name}={environment[name]}" in shown, f"{what}: {name} is not {environment[name]}"
    assert not re.search(r"0123abcd|a-long-random-text", done.stdout + done.stderr), f"{what}: a secret is shown"
    print(f"{what}: {len(environment)} settings taken")


def check_grace(what: str, seconds: str | int, settings: dict[str, str]) -> None:
    """Whoever sends SIGKILL waits for the whole drain and the second that the program promises besides."""
    grace = int(str(seconds).removesuffix("s"))
    assert grace * 1000 > int(settings["LIVE_WS_DRAIN_TIMEOUT_MS"]) + 1000, f"{what}: a grace of {grace} s"


def check_compose(program: str, empty: Path) -> None:
    services = yaml.safe_load(Path("compose.yaml").read_text())["services"]
    instances = {name: one for name, one in services.items() if name.startswith("processor-")}
    assert len(instances) >= 2
    for name, service in instances.items():
        settings = {name: interpolated(value) for name, value in service["environment"].items()}
        check(program, f"compose.yaml, {name}", settings | {"OPS_HOST": "0.0.0.0"}, empty)
        check_grace(name, service["stop_grace_period"], settings)
        for part in ("LIVE", "MAP", "OPS"):
            proxy = Path("deploy/compose/haproxy.cfg").read_text()
            variable = f"{name.upper().replace('-', '_')}_{part}"
            assert f"presetenv {variable} {name}:" in proxy and f'"${{{variable}}}"' in proxy, variable
    example = Path("deploy/compose/env.example").read_text()
    asked = set(re.findall(r"\$\{([A-Z0-9_]+):", Path("compose.yaml").read_text()))
    offered = set(re.findall(r"^#?([A-Z0-9_]+)=", example, re.MULTILINE))
    assert asked == offered, f"env.example: {sorted(asked ^ offered)}"


def check_kubernetes(program: str, empty: Path) -> None:
    found = {}
    for file in KUBERNETES.glob("*.yaml"):
        for one in yaml.safe_load_all(file.read_text()):
            name = one.get("metadata", {}).get("name")
            found[one["kind"], name] = one
    listed = set(found[("Kustomization", None)]["resources"])
    there = {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    assert listed == there, f"kustomization.yaml: {sorted(listed ^ there)}"

    deployment = found["Deployment", "processor"]["spec"]
    pod = deployment["template"]["spec"]
    container = pod["containers"][0]
    assert deployment["replicas"] >= 2 and deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert pod["enableServiceLinks"] is False

    settings = dict(found["ConfigMap", container["envFrom"][0]["configMapRef"]["name"]]["data"])
    for variable in container["env"]:
        at = variable["valueFrom"]["secretKeyRef"]
        settings[variable["name"]] = found["Secret", at["name"]]["stringData"][at["key"]]
    check(program, "deploy/kubernetes", settings | {"OPS_HOST": "0.0.0.0"}, empty)
    check_grace("deploy/kubernetes", pod["terminationGracePeriodSeconds"], settings)
    check_grace("minReadySeconds", deployment["minReadySeconds"], settings)

    ports = {port["name"] for port in container["ports"]}
    used = {container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")}
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    labels = deployment["template"]["metadata"]["labels"]
    for kind, name in found:
        spec = found[kind, name].get("spec", {})
        if kind == "Service":
            assert spec["selector"].items() <= labels.items(), name
            used |= {port["targetPort"] for port in spec["ports"]}
        if kind in ("Deployment", "PodDisruptionBudget"):
            assert spec["selector"]["matchLabels"].items() <= labels.items(), name
    assert used == ports, f"ports {sorted(used)} of {sorted(ports)}"
    assert "ops" not in {port["targetPort"] for port in found["Service", "processor"]["spec"]["ports"]}


def check_unit(program: str, folder: Path) -> None:
    """The unit reads the file, and gives each instance its ports; the file alone is taken too."""
    (folder / "settings").mkdir()
    (folder / FILE).write_text(FILE.read_text())
    lines = [line.partition("=") for line in UNIT.read_text().splitlines()]
    set_there = [value.partition("=") for name, _, value in lines if name == "Environment"]
    settings = {name: value.replace("%H-%i", "host-1") for name, _, value in set_there}
    assert settings["PROCESSOR_ENV"] == FILE.stem
    check(program, UNIT.name, settings | {"OPS_INGEST_TOKEN": SECRETS["OPS_INGEST_TOKEN"]}, folder)
    in_file = dict(re.findall(r"^([a-z0-9_]+) = \"?([^\"\n]*)", FILE.read_text(), re.MULTILINE))
    in_file = {name.upper(): value for name, value in in_file.items()}
    check(program, str(FILE), in_file, folder)
    check_grace(UNIT.name, next(value for name, _, value in lines if name == "TimeoutStopSec"), in_file)


def systemd_takes(unit: str, folder: Path) -> bool:
    """Whether `systemd-analyze` has nothing to say against a unit; with warnings as errors, not for units that it refers to."""
    path = folder / UNIT.name
    path.write_text(unit)
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path]
    done = subprocess.run(verify, capture_output=True, text=True)
    return done.returncode == 0 and UNIT.name not in done.stderr


def check_systemd(program: str, folder: Path) -> None:
    unit, start = UNIT.read_text(), "ExecStart=/usr/local/bin/processor\n"
    assert start in unit
    # The program must be there for the unit to be right.
    unit = unit.replace(start, f"ExecStart={Path(program).resolve()}\n")
    assert systemd_takes(unit, folder), f"systemd does not take {UNIT}"
    assert not systemd_takes(unit.replace("NoNewPrivileges=", "NoNewPrivilege="), folder), "a typing error goes unnoticed"
    alone = set(Path("deploy/systemd/processor.service").read_text().partition("# It needs")[2].splitlines()[1:])
    assert alone == set(unit.partition("# It needs")[2].splitlines()[1:]), "the two units are not hardened alike"
    print(f"{UNIT.name}: systemd takes it, hardened as processor.service is")


def check_proxy_variables() -> None:
    """What docs/cluster.md sets for HAProxy on a host is what its configuration reads."""
    read = set(re.findall(r"presetenv (\w+)|defined\((\w+)\)", Path("deploy/compose/haproxy.cfg").read_text()))
    read = {"".join(one) for one in read}
    told = set(re.findall(r"^(PRO\w+)=", Path("docs/cluster.md").read_text(), re.MULTILINE))
    assert told and told <= read, f"docs/cluster.md: {sorted(told - read)}"


def main() -> None:
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as folder:
        check_compose(program, Path(empty))
        check_kubernetes(program, Path(empty))
        check_unit(program, Path(folder))
        check_systemd(program, Path(empty))
    check_proxy_variables()


main()
