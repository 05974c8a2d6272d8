from pathlib import Path

from dockwright.cgroup import named
from dockwright.cgroup.hierarchy import _missing, parse

V1 = """24 1 0:21 / / rw - ext4 /dev/vda rw
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd
34 24 0:28 /docker/abc /mnt/part rw - cgroup cgroup rw,memory
"""
UNIFIED = "35 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
V2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def test_a_v1_host_has_a_tree_for_each_controller() -> None:
    found = parse(V1)
    assert found.mode == "v1"
    assert found.version == 1
    assert found.controllers == {
        "cpu": Path("/sys/fs/cgroup/cpu,cpuacct"),
        "cpuacct": Path("/sys/fs/cgroup/cpu,cpuacct"),
        "memory": Path("/sys/fs/cgroup/memory"),
    }


def test_a_hybrid_host_has_an_empty_v2_tree_beside() -> None:
    found = parse(V1 + UNIFIED, "hugetlb")
    assert (found.mode, found.version) == ("hybrid", 1)
    assert found.controllers["hugetlb"] == Path("/sys/fs/cgroup/unified")
    assert len(found.roots()) == 3


def test_a_v2_host_has_one_tree() -> None:
    found = parse(V2, "cpu io memory pids")
    assert (found.mode, found.version) == ("v2", 2)
    assert found.controllers["blkio"] == Path("/sys/fs/cgroup")
    assert found.roots() == [Path("/sys/fs/cgroup")]


def test_a_named_cgroup_is_below_every_root() -> None:
    group = named(parse(V1 + UNIFIED), "/dockwright/abc")
    assert group.file("memory", "memory.stat") == Path("/sys/fs/cgroup/memory/dockwright/abc/memory.stat")
    assert group.file("", "cgroup.procs") == Path("/sys/fs/cgroup/unified/dockwright/abc/cgroup.procs")
    assert group.file("pids", "pids.max") is None
    assert group.read("memory", "memory.stat") == ""


def test_missing_are_controllers_the_kernel_has_and_no_tree_holds() -> None:
    table = "#subsys_name hierarchy num_cgroups enabled\nmemory 4 1 1\npids 0 1 1\nhugetlb 0 1 0\ncpuset 0 1 1\n"
    assert _missing(["memory", "pids", "hugetlb", "rdma"], parse(V1), table) == ["pids"]
