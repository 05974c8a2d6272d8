import pytest

from dockwright.errors import Invalid
from dockwright.network.files import Link, check_extra_host, etc_hosts, resolv_conf


def test_hosts_names_the_container_after_the_extra_entries() -> None:
    text = etc_hosts(
        "web", "example.org", ["172.17.0.2"], extra_hosts=["db:10.0.0.5", "gw=host-gateway"], gateway_ip="172.17.0.1"
    )
    assert text.startswith("127.0.0.1\tlocalhost\n")
    assert text.endswith("10.0.0.5\tdb\n172.17.0.1\tgw\n172.17.0.2\tweb.example.org web\n")


def test_hosts_without_a_network_names_no_address() -> None:
    assert "web" not in etc_hosts("web")


def test_hosts_of_the_host_are_kept_and_extended() -> None:
    assert (
        etc_hosts("web", base="127.0.0.1 localhost", extra_hosts=["a:1.2.3.4"]) == "127.0.0.1 localhost\n1.2.3.4\ta\n"
    )


def test_hosts_names_links() -> None:
    text = etc_hosts("web", ips=["172.17.0.3"], links=[Link("172.17.0.2", ("db", "0123456789ab", "postgres"))])
    assert "172.17.0.2\tdb 0123456789ab postgres\n" in text


@pytest.mark.parametrize("entry", ["name=2001:db8::1", "name:2001:db8::1", "name=[2001:db8::1]"])
def test_an_extra_host_may_be_ipv6(entry: str) -> None:
    assert check_extra_host(entry) == ("name", "2001:db8::1")


@pytest.mark.parametrize("entry", ["name", ":1.2.3.4", "name:", "name:1.2.3", "name:1.2.3.4\n6.6.6.6 evil"])
def test_a_bad_extra_host_is_refused(entry: str) -> None:
    with pytest.raises(Invalid, match="add-host"):
        check_extra_host(entry)


def test_loopback_and_ipv6_resolvers_are_left_out() -> None:
    kept = "nameserver 192.0.2.53\nsearch a b\noptions ndots:2\n"
    assert resolv_conf("nameserver 127.0.0.53\nnameserver ::1\nnameserver 2001:db8::53\n" + kept) == kept


def test_with_no_resolver_left_public_ones_are_named() -> None:
    assert resolv_conf("nameserver 127.0.0.1\n").splitlines() == ["nameserver 8.8.8.8", "nameserver 8.8.4.4"]


def test_what_is_given_replaces_what_the_host_has() -> None:
    host = "nameserver 192.0.2.53\nsearch a\noptions ndots:2\n"
    assert (
        resolv_conf(host, dns=["127.0.0.1"], search=["."], options=["rotate"])
        == "nameserver 127.0.0.1\noptions rotate\n"
    )


def test_on_the_hosts_network_the_file_is_the_hosts() -> None:
    host = "# mine\nnameserver 127.0.0.53\n"
    assert resolv_conf(host, host_network=True) == host
    assert resolv_conf(host, host_network=True, search=["x"]) == "nameserver 127.0.0.53\nsearch x\n"
