import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dockwright.cgroup import Cgroup, Hierarchy, Stats, named, oom, parse_cpu_list, read
from dockwright.cgroup.stats import BlkioEntry, parse_blkio, parse_net_dev, system_cpu
from dockwright.errors import Invalid


def wire(stats: Stats) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(stats))
    return found


def group(tmp_path: Path, files: dict[str, str], *, v2: bool) -> Cgroup:
    tmp_path.mkdir(exist_ok=True)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    controllers = dict.fromkeys(("cpu", "cpuacct", "memory", "pids", "blkio"), tmp_path)
    return named(Hierarchy(controllers, tmp_path if v2 else None), "/")


def test_v2_numbers_have_the_apis_names_and_units(tmp_path: Path) -> None:
    files = {
        "cpu.stat": "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n",
        "memory.current": "4096\n",
        "memory.max": "8192\n",
        "memory.stat": "anon 1000\nfile 2000\ninactive_file 5\n",
        "memory.events": "low 0\nmax 3\noom 2\noom_kill 1\n",
        "pids.current": "3\n",
        "pids.max": "max\n",
        "io.stat": "254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:16 \n",
    }
    cgroup = group(tmp_path, files, v2=True)
    found = wire(read(cgroup))
    assert found["cpu_stats"]["cpu_usage"] == {
        "total_usage": 5_000_000,
        "usage_in_kernelmode": 2_000_000,
        "usage_in_usermode": 3_000_000,
    }
    assert found["cpu_stats"]["throttling_data"] == {"periods": 4, "throttled_periods": 2, "throttled_time": 7000}
    assert found["memory_stats"] == {
        "usage": 4096,
        "stats": {"anon": 1000, "file": 2000, "inactive_file": 5},
        "failcnt": 2,
        "limit": 8192,
    }
    assert found["pids_stats"] == {"current": 3}
    assert found["blkio_stats"]["io_service_bytes_recursive"] == [
        {"major": 254, "minor": 0, "op": "read", "value": 10},
        {"major": 254, "minor": 0, "op": "write", "value": 20},
    ]
    assert found["blkio_stats"]["io_serviced_recursive"] is None
    assert "networks" not in found
    assert oom.kills(cgroup) == 1


def test_v1_numbers_have_the_apis_names_and_units(tmp_path: Path) -> None:
    files = {
        "cpuacct.usage": "5000\n",
        "cpuacct.usage_percpu": "2000 3000 \n",
        "cpuacct.stat": "user 3\nsystem 2\n",
        "cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 7\n",
        "memory.usage_in_bytes": "4096\n",
        "memory.max_usage_in_bytes": "5000\n",
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.failcnt": "1\n",
        "memory.stat": "cache 1\nrss 2\ntotal_inactive_file 3\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
        "pids.current": "3\n",
        "pids.max": "100\n",
        "blkio.throttle.io_service_bytes_recursive": "254:0 Read 10\n254:0 Total 10\nTotal 10\n",
        "blkio.throttle.io_serviced_recursive": "254:0 Read 1\n",
    }
    cgroup = group(tmp_path, files, v2=False)
    found = wire(read(cgroup))
    usage = found["cpu_stats"]["cpu_usage"]
    assert usage["percpu_usage"] == [2000, 3000]
    assert usage["usage_in_usermode"] == 30_000_000
    assert found["memory_stats"]["max_usage"] == 5000
    assert found["memory_stats"]["limit"] < 1 << 50  # the machine's memory
    assert found["pids_stats"] == {"current": 3, "limit": 100}
    assert found["blkio_stats"]["io_service_bytes_recursive"][0] == {
        "major": 254,
        "minor": 0,
        "op": "read",
        "value": 10,
    }
    assert found["blkio_stats"]["io_queue_recursive"] == []
    assert oom.kills(cgroup) == 4


def test_a_cgroup_that_is_gone_reads_as_zero(tmp_path: Path) -> None:
    for v2 in (False, True):
        cgroup = group(tmp_path / "gone", {}, v2=v2)
        found = wire(read(cgroup, network_pid=2**22 + 1))
        assert found["cpu_stats"]["cpu_usage"]["total_usage"] == 0
        assert found["memory_stats"] == {}
        assert found["networks"] == {}
        assert oom.kills(cgroup) == 0


def test_the_total_of_blkio_has_no_device() -> None:
    assert parse_blkio("8:0 Write 5\nTotal 5\n") == [BlkioEntry(8, 0, "write", 5)]


def test_interfaces_are_listed_without_lo() -> None:
    text = (
        "Inter-|   Receive    |  Transmit\n face |bytes packets\n"
        "    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n"
    )
    found = parse_net_dev(text)
    assert list(found) == ["eth0"]
    assert wire(Stats(networks=found))["networks"]["eth0"] == {
        "rx_bytes": 10,
        "rx_packets": 2,
        "rx_errors": 3,
        "rx_dropped": 4,
        "tx_bytes": 50,
        "tx_packets": 6,
        "tx_errors": 7,
        "tx_dropped": 8,
    }


def test_the_hosts_time_is_in_nanoseconds() -> None:
    text = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 0 0 0 0 0 0 0 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\nintr 5\n"
    assert system_cpu(text) == (280_000_000, 2)


def test_cpu_lists() -> None:
    assert parse_cpu_list("0,3-5,4") == {0, 3, 4, 5}
    assert parse_cpu_list("") == set()
    for text in ("a", "3-1", "1-", "1-2-3", "-1"):
        with pytest.raises(Invalid, match="invalid format"):
            parse_cpu_list(text)
    with pytest.raises(Invalid, match="maximum"):
        parse_cpu_list("1-9223372036854775807")
