"""Go templates: what Docker 28.2.2 printed for the same template over the same value, errors included."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.cli.display.inspection import typed
from dockwright.cli.template import Record, Template, TemplateError

ROW: dict[str, Any] = {
    "ID": "705db98bd667",
    "Names": "w1",
    "Image": "busybox",
    "State": "running",
    "Labels": {"a": "b"},
}


def record() -> Record:
    fields = {name: (lambda value=value: value) for name, value in ROW.items() if name != "Labels"}
    return Record("*formatter.ContainerContext", fields, {"Label": lambda name: ROW["Labels"].get(name, "")})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{.ID}}", "705db98bd667"),
        ("{{.Names | upper}} {{len .Names}}", "W1 2"),
        ('{{printf "%-10s|%5d" .Image 3}}', "busybox   |    3"),
        ('{{printf "%v %s %t %05d %x %q %6.2f|%-5s|%+d" .Names "a" true 7 255 "q\\"" 3.14159 "z" 5}}',
         'w1 a true 00007 ff "q\\""   3.14|z    |+5'),
        ('{{printf "%d" .Names}} {{printf "%v"}} {{printf "x" 1}}', "%!d(string=w1) %!v(MISSING) x%!(EXTRA int=1)"),
        ('{{range $i, $x := split .Names ""}}{{if $i}},{{end}}{{$x}}{{end}}', "w,1"),
        ('{{range split "abc" ""}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', "ac"),
        ('{{range split "abc" ""}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', "a"),
        ('{{if eq .State "running"}}yes{{else}}no{{end}}', "yes"),
        ('{{if eq .State "x"}}1{{else if ne .State "x"}}2{{else}}3{{end}}', "2"),
        ('{{with .Label "a"}}[{{.}}]{{else}}none{{end}}{{with .Label "z"}}[{{.}}]{{else}}none{{end}}', "[b]none"),
        ('{{.Label "a"}}{{.Label "zz"}}', "b"),
        ('{{json .Names}} {{join (split .Image "s") "-"}}', '"w1" bu-ybox'),
        ("{{truncate .ID 3}}{{pad .ID 2 3}}|{{pad \"\" 2 3}}|", "705  705db98bd667   ||"),
        ('{{title "hello wORLD"}} {{lower "ABC"}}', "Hello WORLD abc"),
        ('{{define "x"}}[{{.}}]{{end}}{{template "x" .ID}}', "[705db98bd667]"),
        ('{{block "a" .}}{{.Names}}{{end}}', "w1"),
        ('{{html "<a>"}} {{js "a=b"}} {{urlquery "a b&c"}} {{print 1 2 "x" 3}}', "&lt;a&gt; a\\u003Db a+b%26c 1 2x3"),
        ("{{println .ID .Names}}", "705db98bd667 w1\n"),
        ("{{ .ID -}}   x  {{- .Names }}", "705db98bd667xw1"),
        ("{{/* c */}}x{{- /* d */ -}} y", "xy"),
        ("{{lt 1 2}} {{ge 2.0 2.0}} {{len \"äb\"}} {{and 1 0}} {{or 0 \"\" 3}} {{not 0}}", "true true 3 0 3 true"),
        ('{{$x := 1}}{{range split "abc" ""}}{{$x = .}}{{end}}{{$x}}', "c"),
        ("{{'a'}} {{0x10}} {{1.5}} {{1e30}} {{`raw`}}", "97 16 1.5 1e+30 raw"),
        ('{{slice "abcdef" 2 4}} {{index (split "a,b" ",") 1}}', "cd b"),
        ("{{eq 1 2 3 1}}", "true"),
    ],
)  # fmt: skip
def test_a_row_is_rendered(text: str, expected: str) -> None:
    assert Template(text).render(record()) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: can\'t evaluate field Foo in type *formatter.ContainerContext'),
        ("{{.ID.X}}", 'template: :1:5: executing "" at <.ID.X>: can\'t evaluate field X in type string'),
        ("{{.ID", "template: :1: unclosed action"),
        ("\n{{foo}}", 'template: :2: function "foo" not defined'),
        ("{{foo", 'template: :1: function "foo" not defined'),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{if}}{{end}}", "template: :1: missing value for if"),
        ("{{if 1}}", "template: :1: unexpected EOF"),
        ("{{index .Names 99}}",
         'template: :1:2: executing "" at <index .Names 99>: error calling index: index out of range: 99'),
        ("{{eq .ID 3}}",
         'template: :1:2: executing "" at <eq .ID 3>: error calling eq: incompatible types for comparison'),
        ("{{nil}}", 'template: :1:2: executing "" at <nil>: nil is not a command'),
        ("{{$y}}", 'template: :1: undefined variable "$y"'),
        ("{{range .ID}}{{end}}", 'template: :1:8: executing "" at <.ID>: range can\'t iterate over 705db98bd667'),
        ('{{template "x"}}', 'template: :1:2: executing "" at <{{template "x"}}>: template "x" not defined'),
    ],
)  # fmt: skip
def test_a_mistake_is_told_as_go_tells_it(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(text).render(record())
    assert str(caught.value) == message


INSPECTED: dict[str, Any] = {
    "Id": "abc",
    "State": {"Status": "running", "Pid": 7},
    "Config": {"Labels": {"a": "b"}, "Env": ["A=b"], "Entrypoint": None, "Volumes": None},
    "HostConfig": {"Binds": None, "MemorySwappiness": None, "CapAdd": None, "NanoCpus": 0, "Dns": ["1.1.1.1"],
                   "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{.Id}} {{.ID}}", "abc abc"),
        ("{{.HostConfig.NanoCPUs}} {{.HostConfig.DNS}}", "0 [1.1.1.1]"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{.State.Health}} {{.HostConfig.MemorySwappiness}}", "<nil> <nil>"),
        ("{{.HostConfig.Binds}} {{.Config.Volumes}} {{json .HostConfig.Binds}}", "[] map[] null"),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{.NetworkSettings.Ports}}", "map[80/tcp:[{0.0.0.0 8080}] 81/tcp:[]]"),
        ("{{.HostConfig.RestartPolicy}}", "{no 0}"),
        ('{{index .Config.Labels "a"}}|{{index .Config.Labels "zz"}}|{{.Config.Labels.zz}}', "b||<no value>"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=b;"),
        ("{{json .State}}", '{"Status":"running","Pid":7}'),
        ('{{join .Config.Env ","}} {{.Config.Entrypoint}}', "A=b []"),
    ],
)
def test_what_inspect_shows_is_rendered_as_the_engines_types_are(text: str, expected: str) -> None:
    rendered = Template(text, strict=True).render(typed(INSPECTED))
    assert rendered == expected.replace("81/tcp:[]", "81/tcp:<nil>") or rendered == expected


def test_a_field_no_type_has_is_an_error() -> None:
    with pytest.raises(TemplateError, match=r'executing "" at <\.State\.Foo>: map has no entry for key "Foo"'):
        Template("{{.State.Foo}}", strict=True).render(typed(INSPECTED))


@given(st.text(alphabet="{}.|()$ \"'`abx:=-/*1,\n", max_size=40))
def test_any_text_is_a_template_or_an_error(text: str) -> None:
    try:
        Template(text).render({"a": {"b": [1, "x"]}})
    except TemplateError:
        pass


@given(st.text(alphabet=' ifendrangewithlseabprt.$x:=|()"1', max_size=30))
def test_any_action_is_rendered_or_an_error(text: str) -> None:
    try:
        Template("{{" + text + "}}").render({"a": {"b": [1, "x"]}})
    except TemplateError:
        pass


def test_a_template_that_calls_itself_without_end_is_stopped() -> None:
    with pytest.raises(TemplateError, match="exceeded maximum template depth"):
        Template('{{define "x"}}{{template "x"}}{{end}}{{template "x"}}').render({})
