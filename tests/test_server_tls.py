"""TLS at a server, its certificates exchanged while it runs, and clients that never tell a key in plain text."""

from __future__ import annotations

import shutil
import socket
import ssl
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from relgraph.api import open_authorizer
from relgraph.client import Access, Client
from relgraph.errors import InvalidSetting, ServerUnavailable, Unauthenticated
from relgraph_server.settings import load_settings
from tests.awaited import awaited
from tests.certificates import Authority, Signed
from tests.keys_kit import add_key, guarded
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from relgraph.api import Authorizer
    from relgraph_server.settings import Settings


@pytest.fixture(scope="module")
def authorizer() -> Iterator[Authorizer]:
    with open_authorizer("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def mine(authority: Authority) -> Signed:
    return authority.sign("server")


def over_tls(signed: Signed, *, keys: Path | None = None, tls_client_ca: str = "") -> Settings:
    return guarded(keys, tls_cert=str(signed.certificate), tls_key=str(signed.key), tls_client_ca=tls_client_ca)


def asks(address: str, access: Access) -> bool:
    """Ask something over a new connection."""
    answers = set()
    for opens in (Client, awaited):
        with opens(address, access=access, timeout=10) as client:
            answers.add(client.check("user:anna", "administer", "report:q3"))
    (answer,) = answers
    return answer


def test_tls_and_nothing_else(authorizer: Authorizer, authority: Authority, stranger: Authority, mine: Signed) -> None:
    """A client that trusts the authority is answered; in plain text, or trusting others, nobody gets through."""
    with in_process(authorizer, over_tls(mine)) as address:
        assert asks(address, Access(tls_ca=str(authority.certificate)))
        assert asks(address.replace("127.0.0.1", "localhost"), Access(tls_ca=str(authority.certificate)))
        for access in (Access(), Access(tls=True), Access(tls_ca=str(stranger.certificate))):
            with pytest.raises(ServerUnavailable):
                asks(address, access)


def test_a_certificate_for_another_name(authorizer: Authorizer, authority: Authority) -> None:
    """A certificate that is not for the server's own name is not accepted by the client."""
    signed = authority.sign("elsewhere", "DNS:elsewhere.example")
    with in_process(authorizer, over_tls(signed)) as address, pytest.raises(ServerUnavailable):
        asks(address, Access(tls_ca=str(authority.certificate)))


def test_old_versions_of_tls_are_refused(authorizer: Authorizer, authority: Authority, mine: Signed) -> None:
    """The server speaks TLS 1.2 and newer: the very same client gets nowhere by TLS 1.1."""

    def shake(version: ssl.TLSVersion) -> str | None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority.certificate)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.set_alpn_protocols(["h2"])
        with pytest.warns(DeprecationWarning, match="TLS") if version < ssl.TLSVersion.TLSv1_2 else nullcontext():
            context.minimum_version = version
            context.maximum_version = version
        with (
            socket.create_connection((host, int(port)), 10) as raw,
            context.wrap_socket(raw, server_hostname=host) as tls,
        ):
            return tls.version()

    with in_process(authorizer, over_tls(mine)) as address:
        host, _, port = address.rpartition(":")
        assert ["TLSv1.2", "TLSv1.3"] == [shake(ssl.TLSVersion.TLSv1_2), shake(ssl.TLSVersion.TLSv1_3)]
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            shake(ssl.TLSVersion.TLSv1_1)


def test_certificates_are_exchanged_while_it_runs(
    authorizer: Authorizer, authority: Authority, stranger: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """New files count from the next connection on; half of a change, or garbage, leaves the old certificate in use."""
    first, second = authority.sign("first"), stranger.sign("second")
    used = Signed(tmp_path / "tls.pem", tmp_path / "tls.key")

    def put(certificate: Path | None, key: Path | None) -> None:
        for source, target in ((certificate, used.certificate), (key, used.key)):
            if source is not None:
                shutil.copy(source, target)

    old, new = Access(tls_ca=str(authority.certificate)), Access(tls_ca=str(stranger.certificate))
    put(first.certificate, first.key)
    with in_process(authorizer, over_tls(used)) as address, Client(address, access=old) as connected:
        assert connected.check("user:anna", "administer", "report:q3")
        put(second.certificate, None)  # the key does not fit yet
        assert asks(address, old)
        used.certificate.write_text("garbage")
        assert asks(address, old)
        used.certificate.unlink()
        assert asks(address, old)
        put(second.certificate, second.key)
        assert asks(address, new)
        with pytest.raises(ServerUnavailable):
            asks(address, old)
        assert connected.check("user:anna", "administer", "report:q3")
        put(first.certificate, first.key)
        assert asks(address, old)
    assert "the certificate in use stays" in caplog.text
    assert "PRIVATE KEY" not in caplog.text


def test_clients_have_to_show_a_certificate(
    authorizer: Authorizer, authority: Authority, stranger: Authority, mine: Signed, tmp_path: Path
) -> None:
    """With an authority for clients only its certificates get through; and a key is wanted all the same."""
    client, other = authority.sign("client"), stranger.sign("client")
    keys = tmp_path / "keys"
    secret = add_key(keys, "app", ["check"])
    ca = str(authority.certificate)

    def shows(signed: Signed, token: str = "") -> Access:
        return Access(token, tls_ca=ca, tls_cert=str(signed.certificate), tls_key=str(signed.key))

    with in_process(authorizer, over_tls(mine, tls_client_ca=ca, keys=keys)) as address:
        assert asks(address, shows(client, secret))
        with pytest.raises(Unauthenticated):
            asks(address, shows(client))
        for access in (shows(other, secret), Access(secret, tls_ca=ca)):
            with pytest.raises(ServerUnavailable):
                asks(address, access)


def test_another_authority_for_clients_while_it_runs(
    authorizer: Authorizer, authority: Authority, stranger: Authority, mine: Signed, tmp_path: Path
) -> None:
    """An authority that was taken out of the file lets in no new connection."""
    trusted = tmp_path / "clients.pem"
    shutil.copy(authority.certificate, trusted)
    client = authority.sign("leaver")
    access = Access(tls_ca=str(authority.certificate), tls_cert=str(client.certificate), tls_key=str(client.key))
    with in_process(authorizer, over_tls(mine, tls_client_ca=str(trusted))) as address:
        assert asks(address, access)
        shutil.copy(stranger.certificate, trusted)
        with pytest.raises(ServerUnavailable):
            asks(address, access)


def test_files_that_do_not_hold_together(authorizer: Authorizer, authority: Authority, mine: Signed) -> None:
    """A server does not start with a missing file, a key that does not fit, is locked, or is no PEM."""
    other = authority.sign("other")
    for signed in (
        Signed(mine.certificate, other.key),
        Signed(mine.certificate, mine.certificate),
        Signed(mine.key, mine.key),
        Signed(mine.certificate, authority.locked(mine)),
        Signed(mine.certificate, mine.key.with_name("none")),
    ):
        with pytest.raises(InvalidSetting, match="cannot be used") as caught, in_process(authorizer, over_tls(signed)):
            pass
        assert "PRIVATE" not in caught.value.message
    with pytest.raises(InvalidSetting), in_process(authorizer, over_tls(mine, tls_client_ca=str(mine.key))):
        pass


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("insecure", [False, True])
@pytest.mark.parametrize("listen", ["127.0.0.1:1", "[::1]:1", "localhost:1", "0.0.0.0:1", "[::]:1", "example.com:1"])
def test_a_public_address_needs_keys_and_tls(keys: bool, tls: bool, insecure: bool, listen: str) -> None:
    """Beyond loopback a server wants both keys and TLS, or `insecure` spelled out; it says which is lacking."""
    flags: dict[str, str | bool] = {"store": "sqlite:///x.db", "listen": listen, "insecure": insecure}
    flags |= {"keys": "keys"} if keys else {}
    flags |= {"tls_cert": "c", "tls_key": "k"} if tls else {}
    public = listen.startswith(("0", "[::]", "example"))
    if public and not insecure and not (keys and tls):
        lacking = {(False, False): "no keys and TLS", (True, False): "no TLS", (False, True): "no keys"}[keys, tls]
        with pytest.raises(InvalidSetting, match=f"public address, and this server has {lacking}:"):
            load_settings(flags, {})
    else:
        assert listen == load_settings(flags, {}).listen


@pytest.mark.parametrize("given", ["tls_cert", "tls_key", "tls_client_ca"])
def test_half_of_tls_is_an_error(given: str) -> None:
    """A certificate without its key, a key without its certificate, or an authority without either is refused."""
    with pytest.raises(InvalidSetting, match=f"`{given}` is set and"):
        load_settings({"store": "sqlite:///x.db", given: "file"}, {})


# --- the client -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["192.0.2.1:50051", "db.example:50051", "[2001:db8::1]:1", "localhost.example:1"])
def test_a_key_goes_nowhere_in_plain_text(target: str) -> None:
    """A client with a key and without TLS is refused but for this machine, unless `insecure` is spelled out."""
    with pytest.raises(InvalidSetting, match="in plain text") as caught:
        Client(target, access=Access("rg_secret"))
    assert "rg_secret" not in str(caught.value)
    for access in (Access("rg_secret", insecure=True), Access("rg_secret", tls=True), Access()):
        Client(target, access=access).close()


@pytest.mark.parametrize("target", ["127.0.0.1:1", "localhost:1", "[::1]:1", "127.8.9.1:1"])
def test_a_key_may_stay_on_this_machine(target: str) -> None:
    """On loopback a key needs no TLS."""
    Client(target, access=Access("rg_secret")).close()


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (Access("two words"), "not one line of printable ASCII"),
        (Access("line\n"), "not one line of printable ASCII"),
        (Access("é"), "not one line of printable ASCII"),
        (Access(tls=True, insecure=True), "keep one"),
        (Access(tls_ca="none"), "`none` cannot be read"),
        (Access(tls_cert="none"), "needs its key"),
        (Access(tls_key="none"), "needs its key"),
        (Access(tls_ca=__file__), "is not a PEM file"),
    ],
)
def test_what_contradicts_itself_is_refused(access: Access, said: str) -> None:
    """Keys that cannot be sent, halves of certificates and files that are none are told before any call."""
    with pytest.raises(InvalidSetting, match=said):
        Client("127.0.0.1:1", access=access)


def test_a_key_is_not_shown() -> None:
    """How a server is reached can be printed: the key is left out."""
    assert "rg_secret" not in repr(Access("rg_secret"))


@pytest.mark.parametrize("opens", [Client, awaited])
def test_every_kind_of_call_shows_the_key(
    authorizer: Authorizer, tmp_path: Path, opens: Callable[..., AbstractContextManager[Client]]
) -> None:
    """The key is sent with calls of every kind, the streams of imports, exports and watches among them."""
    secret = add_key(tmp_path / "keys", "app", ["admin"])
    with in_process(authorizer, guarded(tmp_path / "keys")) as address:
        with opens(address, access=Access(secret)) as client:
            assert 1 == client.load(["report:q77#manager@user:anna"], on_duplicate="touch").read
            assert client.check("user:anna", "manage", "report:q77")
            with client.dump() as dump, client.watch() as watch:
                assert dump.revision == watch.revision
        with opens(address) as client:
            for act in (
                lambda: client.load(["report:q78#manager@user:anna"]),
                client.dump,
                client.watch,
                client.schema,
            ):
                with pytest.raises(Unauthenticated):
                    act()
