"""Certificates of the cluster, from an authority of its own."""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.addresses import API_SERVICE, API_URL, HOST, Node
from dev.host import run, write

_CURVE = "ec_paramgen_curve:prime256v1"
_DAYS = "3650"
CONTEXT = "streammonitor-dev"


@dataclass(frozen=True)
class Identity:
    """A key and what its certificate says."""

    name: str
    user: str
    group: str = ""
    alternatives: Sequence[str] = ()


API_SERVER = Identity(
    "apiserver",
    "kube-apiserver",
    alternatives=(
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
        "DNS:localhost",
        f"IP:{HOST}",
        f"IP:{API_SERVICE}",
    ),
)
ADMIN = Identity("admin", "admin", "system:masters")
KUBELET_CLIENT = Identity("kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
CONTROLLERS = Identity("controllers", "system:kube-controller-manager")
SCHEDULER = Identity("scheduler", "system:kube-scheduler")
PROXY = Identity("proxy", "system:kube-proxy")
DNS = Identity("dns", "system:coredns")


def kubelet(node: Node) -> Identity:
    """The identity of a node's kubelet, as client and as server."""
    names = (f"DNS:{node.name}", f"IP:{node.address}")
    return Identity(node.name, f"system:node:{node.name}", "system:nodes", names)


class Authority:
    """The certificate authority in one folder; makes what is missing, keeps what is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def certificate(self) -> Path:
        """The authority's own certificate."""
        return self._folder / "ca.crt"

    @property
    def accounts_key(self) -> Path:
        """The key that signs ServiceAccount tokens."""
        return self._folder / "accounts.key"

    @property
    def accounts_public_key(self) -> Path:
        """The key that tells which tokens were signed with the other one."""
        return self._folder / "accounts.pub"

    def prepare(self) -> None:
        """Make the authority and the key for ServiceAccounts."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.certificate.exists():
            key, new = self._folder / "ca.key", self._folder / "ca.new"
            subject = ["-subj", "/CN=streammonitor-dev", "-days", _DAYS]
            make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", _CURVE, "-nodes"]
            run([*make, "-keyout", key, "-out", new, *subject])
            new.replace(self.certificate)
        if not self.accounts_public_key.exists():
            new = self._folder / "accounts.new"
            make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", _CURVE]
            run([*make, "-out", self.accounts_key])
            run(["openssl", "pkey", "-in", self.accounts_key, "-pubout", "-out", new])
            new.replace(self.accounts_public_key)

    def issue(self, identity: Identity) -> tuple[Path, Path]:
        """The certificate and the key of an identity."""
        certificate, key, request, new, extensions = (
            self._folder / f"{identity.name}.{end}" for end in ("crt", "key", "csr", "new", "ext")
        )
        if certificate.exists():
            return certificate, key
        extensions.write_text(extension_lines(identity))
        subject = f"/O={identity.group}" if identity.group else ""
        make = ["openssl", "req", "-newkey", "ec", "-pkeyopt", _CURVE, "-nodes", "-keyout", key]
        run([*make, "-out", request, "-subj", f"{subject}/CN={identity.user}"])
        sign = ["openssl", "x509", "-req", "-in", request, "-extfile", extensions, "-days", _DAYS]
        signer = ["-CA", self.certificate, "-CAkey", self._folder / "ca.key"]
        run([*sign, *signer, "-set_serial", f"0x{secrets.token_hex(16)}", "-out", new])
        new.replace(certificate)
        return certificate, key

    def kubeconfig(self, identity: Identity, path: Path, server: str = API_URL) -> Path:
        """Write a kubeconfig that needs no other file."""
        certificate, key = self.issue(identity)
        text = kubeconfig_text(
            _encoded(self.certificate), _encoded(certificate), _encoded(key), server
        )
        write(path, text)
        return path


def extension_lines(identity: Identity) -> str:
    """The X.509 extensions of an identity, as openssl reads them."""
    names = ",".join(identity.alternatives)
    first = f"subjectAltName={names}\n" if names else ""
    return f"{first}extendedKeyUsage=serverAuth,clientAuth\n"


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def kubeconfig_text(authority: str, certificate: str, key: str, server: str = API_URL) -> str:
    """A kubeconfig; JSON is YAML too."""
    cluster = {"server": server, "certificate-authority-data": authority}
    user = {"client-certificate-data": certificate, "client-key-data": key}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": CONTEXT, "user": user}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    }
    return json.dumps(content, indent=1) + "\n"
