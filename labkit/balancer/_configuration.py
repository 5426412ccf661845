"""HAProxy's configuration: where it listens, and what it does with requests and answers.

The configuration has no servers. They come and go at run time only, so that creation, upgrade and removal
work in the same way. HAProxy never sends a request a second time or to another server (`retries 0`, no
redispatch), because the client has to see each failure that a deployment causes. A request without an id gets
one here, so that it can be followed even when it reaches no server. A server is slowed by delaying its
answers, and made to fail by turning a share of them into errors. A request with an X-Session header goes to
the server of the first request of its session.

Every answer that has a server is stamped with the server's name (X-Labkit-Instance) and its version
(X-Labkit-Version), whatever the server says itself. So is an error that HAProxy answers because the server
did not. An answer without these headers comes from no server.

Maps, which are changed at run time, say each server's version and the path of its health check, which servers
are slow or fail, and which requests go to a canary: by the group (X-Group) or the user (X-User) that the
client names, by the name under which it found the service, or by a random split. The split is drawn by the
user where one is named. A table counts the requests of each service in the last seconds, and those that
failed.

A health check may take 1.5 s. On a busy machine a sound instance has been seen to need a little more than one
second twice, and the only instance of a service that is taken for dead fails every customer.

Source: HAProxy 2.6 Configuration Manual, 4.2 "use-server", "stick on", "http-check send", 7.3.1 converters,
7.3.3 srv_name; HAProxy 2.6 Lua API, core.msleep.
"""

from collections.abc import Iterable
from typing import NamedTuple

CONTROL_PORT = 9999
CONTROL = "-control"
"""The proxy that lets whoever has the key pair to the runtime API; no service can have this name."""

CONTROL_SOCKET = "/tmp/control.sock"  # noqa: S108 - in a container of its own
KEY_PAIR = "/tmp/control.pem"  # noqa: S108 - in a container of its own
CHECKED = "-checked"
"""The suffix of each service's second backend, whose servers are health-checked and get no requests."""

CANARY = "-canary"
"""The suffix of each service's second name in the network: a request to that name is for the canary."""

SLOW_LUA = "/etc/haproxy/slow.lua"
MAPS = SLOW_MAP, FAIL_MAP, CANARY_MAP, SHARE_MAP, VERSION_MAP, READY_MAP = tuple(
    f"/etc/haproxy/{name}.map" for name in ("slow", "fail", "canary", "share", "version", "ready")
)
TRAFFIC = "-traffic"
"""The table that counts the requests of each service; no service can have this name."""

TRAFFIC_S = 5
"""For how many seconds a request is counted there."""

BASIS_POINTS = 10_000
"""Shares are given to HAProxy as whole numbers out of this many, because its maps have no fractions."""


class Listener(NamedTuple):
    """A service as the balancer knows it: its name, and the port at which its requests come in."""

    name: str
    port: int


GLOBAL = f"""\
global
    stats socket {CONTROL_SOCKET} mode 600 level admin
    stats timeout 1h
    log stdout format raw daemon
    lua-load {SLOW_LUA}
    hard-stop-after 200ms
    nbthread 2
    maxconn 4000
listen {CONTROL}
    mode tcp
    bind :{CONTROL_PORT} ssl crt {KEY_PAIR} ca-file {KEY_PAIR} verify required ssl-min-ver TLSv1.3
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    server runtime-api {CONTROL_SOCKET}
defaults
    mode http
    log global
    option dontlog-normal
    log-format '{{"level":"error","status":%ST,"backend":"%b","server":"%s","ended":"%ts","ms":%Ta,\
"method":"%[capture.req.method]","path":"%[capture.req.uri,json(utf8s)]",\
"request_id":"%[var(txn.id),json(utf8s)]","caller":"%[var(txn.caller),json(utf8s)]"}}'
    balance roundrobin
    retries 0
    timeout connect 1s
    timeout check 1500ms
    timeout queue 1s
    timeout client 30s
    timeout server 30s
backend {TRAFFIC}
    stick-table type string len 64 size 1k store http_req_rate({TRAFFIC_S}s),http_fail_rate({TRAFFIC_S}s),\
gpc0_rate({TRAFFIC_S}s)
"""

SLOW = """\
core.register_action("slow", {"http-res"}, function(txn)
    core.msleep(tonumber(txn:get_var("txn.slow_ms")))
end)
"""
"""Delays an answer, in Lua, because HAProxy's own language has no word for that."""

LISTEN = """\
listen {name}
    bind :{port}
    http-request set-header x-request-id %[uuid()] unless {{ req.hdr(x-request-id) -m found }}
    http-request track-sc0 str({name}) table {traffic}
    http-request set-var(txn.id) req.hdr(x-request-id)
    http-request set-var(txn.caller) req.hdr(x-labkit-caller)
    acl named var(txn.user) -m found
    acl routed var(txn.to) -m found
    http-request set-var(txn.group) req.hdr(x-group)
    http-request set-var(txn.user) req.hdr(x-user)
    http-request set-var(txn.host) req.hdr(host),field(1,:)
    http-request set-var(txn.salt) str({name}/salt),map({canary_map})
    http-request set-var(txn.share) str({name}),map_str_int({share_map},0)
    http-request set-var(txn.split) rand({basis_points})
    http-request set-var(txn.split) var(txn.user),concat(,txn.salt),sdbm(1),mod({basis_points}) if named
    http-request set-var(txn.to) str({name}/group/),concat(,txn.group),map({canary_map})
    http-request set-var(txn.to) str({name}/user/),concat(,txn.user),map({canary_map}) if !routed
    http-request set-var(txn.to) str({name}/name/),concat(,txn.host),map({canary_map}) if !routed
    acl drawn var(txn.split),sub(txn.share) lt 0
    http-request set-var(txn.to) str({name}/split),map({canary_map}) if !routed drawn
    use-server %[var(txn.to)] if routed
    stick-table type string len 64 size 100k expire 10m
    stick on req.hdr(x-session)
    http-response set-var(txn.slow_ms) srv_name,map({slow_map})
    http-response lua.slow if {{ var(txn.slow_ms) -m found }}
    http-response set-var(txn.fail) srv_name,map_str_int({fail_map},0)
    http-response set-var(txn.dice) rand({basis_points})
    acl failed var(txn.dice),sub(txn.fail) lt 0
    http-response sc-inc-gpc0(0) if failed {{ status lt 500 }}
    http-response set-status 500 if failed
    http-after-response del-header x-labkit-version
    http-after-response del-header x-labkit-instance
    http-after-response set-var(txn.version) srv_name,map({version_map})
    http-after-response set-header x-labkit-version %[var(txn.version)] if {{ var(txn.version) -m found }}
    http-after-response set-header x-labkit-instance %[srv_name] if {{ srv_name -m found }}
    http-after-response set-header x-request-id %[var(txn.id)]
    option httpchk
    http-check send meth GET uri-lf "%[srv_name,map({ready_map})]" ver HTTP/1.1 hdr Host {name}
    http-check expect status 200
backend {name}{checked}
    option httpchk
    http-check send meth GET uri-lf "%[srv_name,map({ready_map})]" ver HTTP/1.1 hdr Host {name}
    http-check expect status 200
"""


def configuration(listeners: Iterable[Listener]) -> str:
    """Return HAProxy's configuration, which listens on every service's port.

    Each service has a second backend, whose servers are health-checked and get no requests.
    """
    return GLOBAL + "".join(
        LISTEN.format(
            name=listener.name,
            port=listener.port,
            checked=CHECKED,
            basis_points=BASIS_POINTS,
            slow_map=SLOW_MAP,
            fail_map=FAIL_MAP,
            canary_map=CANARY_MAP,
            share_map=SHARE_MAP,
            version_map=VERSION_MAP,
            ready_map=READY_MAP,
            traffic=TRAFFIC,
        )
        for listener in listeners
    )
