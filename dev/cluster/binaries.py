"""Builds the cluster's programs from pinned Go modules, once for every set of versions."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dev.host import Failure, cache_folder, find_tool, run, timed

KUBERNETES = "1.34.4"
_OLDEST_GO = (1, 24)
_MAJOR, _MINOR, _ = KUBERNETES.split(".")
_COREDNS_PLUGINS = (
    "reload",
    "bind",
    "errors",
    "health",
    "ready",
    "hosts",
    "cache",
    "kubernetes",
    "forward",
)


@dataclass(frozen=True)
class Recipe:
    """How to build the programs of one Go module."""

    module: str
    version: str
    programs: Mapping[str, str]  # name of the binary: Go package
    stamps: Mapping[str, str] = field(default_factory=dict)
    staged: bool = False  # requires repositories that upstream replaces by folders of its own
    main: str = ""  # the source of a main package of our own


def _coredns_main() -> str:
    """CoreDNS with the plugins used here only: a tenth of the usual dependencies."""
    imports = "".join(f'\t_ "github.com/coredns/coredns/plugin/{p}"\n' for p in _COREDNS_PLUGINS)
    names = ", ".join(f'"{plugin}"' for plugin in _COREDNS_PLUGINS)
    return (
        "package main\n\nimport (\n"
        '\t"github.com/coredns/coredns/core/dnsserver"\n'
        '\t"github.com/coredns/coredns/coremain"\n'
        f"{imports})\n\n"
        f"func init() {{ dnsserver.Directives = []string{{{names}}} }}\n\n"
        "func main() { coremain.Run() }\n"
    )


# What holds a pod's namespaces. It reaps children by ignoring their end.
_PAUSE_MAIN = """package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGCHLD)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
"""

RECIPES: Mapping[str, Recipe] = {
    "kubernetes": Recipe(
        module="k8s.io/kubernetes",
        version=f"v{KUBERNETES}",
        staged=True,
        programs={
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kube-proxy",
                "kubelet",
                "kubectl",
            )
        },
        stamps={
            "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES}",
            "k8s.io/component-base/version.gitMajor": _MAJOR,
            "k8s.io/component-base/version.gitMinor": _MINOR,
        },
    ),
    "etcd": Recipe(
        module="go.etcd.io/etcd/server/v3",
        version="v3.6.7",
        programs={"etcd": "go.etcd.io/etcd/server/v3"},
    ),
    "coredns": Recipe(
        module="github.com/coredns/coredns",
        version="v1.13.2",
        programs={"coredns": "."},
        main=_coredns_main(),
    ),
    "pause": Recipe(module="", version="1", programs={"pause": "."}, main=_PAUSE_MAIN),
    "helm": Recipe(
        module="helm.sh/helm/v3",
        version="v3.19.4",
        programs={"helm": "helm.sh/helm/v3/cmd/helm"},
        stamps={
            "helm.sh/helm/v3/internal/version.version": "v3.19.4",
            # Without these, `helm template` renders for a Kubernetes of years ago.
            "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": _MAJOR,
            "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": _MINOR,
            "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor": _MAJOR,
            "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor": _MINOR,
        },
    ),
    "kubeconform": Recipe(
        module="github.com/yannh/kubeconform",
        version="v0.7.0",
        programs={"kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform"},
        stamps={"main.version": "v0.7.0"},
    ),
}

KWOK = Recipe(
    module="sigs.k8s.io/kwok",
    version="v0.8.0",
    programs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    stamps={"sigs.k8s.io/kwok/pkg/consts.Version": "0.8.0"},
)
"""Pretends to be nodes. No part of a cluster, so it has a folder of its own."""

VERSITYGW = Recipe(
    module="github.com/versity/versitygw",
    version="v1.8.0",
    programs={"versitygw": "github.com/versity/versitygw/cmd/versitygw"},
)
"""An S3 server over a folder. It has a folder of its own for the same reason."""

PROGRAMS = tuple(name for recipe in RECIPES.values() for name in recipe.programs)


def bin_folder() -> Path:
    """The folder of this set of versions; another set has another folder."""
    recipes = json.dumps({name: asdict(recipe) for name, recipe in RECIPES.items()}, sort_keys=True)
    return cache_folder() / "bin" / hashlib.sha256(recipes.encode()).hexdigest()[:12]


def program(name: str) -> Path:
    """The path of a program that was built."""
    return bin_folder() / name


def build(names: Iterable[str] = ()) -> Path:
    """Build the named programs (default: all) that are not there yet; return their folder.

    Raises:
        Failure: an unknown name, no usable Go, or a build that failed.
    """
    wanted = tuple(names) or PROGRAMS
    unknown = sorted(set(wanted) - set(PROGRAMS))
    if unknown:
        raise Failure(f"Cannot build {', '.join(unknown)}. There are: {', '.join(PROGRAMS)}.")
    target = bin_folder()
    target.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES.values():
        missing = [n for n in recipe.programs if n in wanted and not (target / n).exists()]
        if missing:
            go = _require_go()
            label = f"Building {' '.join(missing)} {recipe.version}"
            with timed(label + (" (about 7 min on 2 cores, once)" if recipe.staged else "")):
                _build_recipe(go, recipe, missing, target)
    return target


def build_alone(recipe: Recipe) -> Path:
    """Build a recipe of one program that has a folder of its own; return the program's path.

    Raises:
        Failure: no usable Go, or a build that failed.
    """
    (name,) = recipe.programs
    target = cache_folder() / f"{name}-{recipe.version}"
    target.mkdir(parents=True, exist_ok=True)
    if not (target / name).exists():
        with timed(f"Building {name} {recipe.version} (1 to 2 min on 2 cores, once)"):
            _build_recipe(_require_go(), recipe, [name], target)
    return target / name


def _require_go() -> str:
    remedy = "Install it from go.dev and put it first in PATH."
    go = find_tool("go")
    if not go:
        raise Failure(f"Go {_OLDEST_GO[0]}.{_OLDEST_GO[1]} or newer is not installed. {remedy}")
    said = run([go, "env", "GOVERSION"]).strip()
    if not go_is_new_enough(said):
        raise Failure(f"{said} is too old for Kubernetes {KUBERNETES}. {remedy}")
    return go


def go_is_new_enough(version: str) -> bool:
    """Whether `go env GOVERSION` names a Go that can compile the pinned sources."""
    found = re.match(r"go(\d+)\.(\d+)", version)
    # A development version ("devel …") names no number; its owner knows what they are doing.
    return not found or (int(found[1]), int(found[2])) >= _OLDEST_GO


def _build_recipe(go: str, recipe: Recipe, names: list[str], target: Path) -> None:
    """Compile in a folder of its own and move into place, so that no half program is found."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target) as name:
        folder = Path(name)
        (folder / "go.mod").write_text(go_mod(recipe, _replacements(go, recipe)))
        if recipe.main:
            (folder / "main.go").write_text(recipe.main)
        # Nothing of the caller's Go set-up (a workspace, vendoring) may leak into the build.
        environment = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=mod"}
        stamps = " ".join(f"-X {name}={value}" for name, value in recipe.stamps.items())
        flags = ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {stamps}".strip()]
        for program_name in names:
            run(
                [go, "build", *flags, "-o", folder / program_name, recipe.programs[program_name]],
                environment=environment,
                folder=folder,
                timeout=3600,
            )
            os.replace(folder / program_name, target / program_name)


def _replacements(go: str, recipe: Recipe) -> list[str]:
    """The staging repositories of a staged module, at the release that belongs to it."""
    if not recipe.staged:
        return []
    said = run([go, "mod", "download", "-json", f"{recipe.module}@{recipe.version}"], timeout=600)
    upstream = (Path(json.loads(said)["Dir"]) / "go.mod").read_text()
    staged = re.findall(r"^\s*(k8s\.io/[a-z0-9-]+) => \./staging/", upstream, re.MULTILINE)
    release = recipe.version.replace("v1.", "v0.", 1)
    return [f"{name} => {name} {release}" for name in staged]


def go_mod(recipe: Recipe, replacements: Iterable[str]) -> str:
    """A module that requires exactly the pinned one."""
    lines = [
        "module streammonitor.io/dev/programs",
        "go 1.24.0",
        # A newer Go would otherwise switch behaviour that Kubernetes was not released with.
        "godebug default=go1.24",
        *([f"require {recipe.module} {recipe.version}"] if recipe.module else []),
        *(f"replace {replacement}" for replacement in replacements),
    ]
    return "\n".join(lines) + "\n"


def remove_other_versions() -> None:
    """Forget the programs of sets of versions that are no longer pinned."""
    kept = bin_folder()
    if kept.parent.is_dir():
        for folder in kept.parent.iterdir():
            if folder != kept:
                shutil.rmtree(folder, ignore_errors=True)
