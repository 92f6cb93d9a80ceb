"""A real ensemble on this machine: members, joiners, faults, and what it says about itself."""
import pathlib
import shutil
import sys
import tempfile

from kazoo.client import KazooClient

from .ports import Ports
from .waiting import SCALE, wait_for
from .zkserver import WORD_SECONDS, Config, Server

SUPER_AUTH = ("digest", "super:admin")
SUPER_DIGEST = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="  # of super:admin
START_SECONDS = 30  # of a client; only bounds a hang
SERVING = ("leader", "follower", "observer", "standalone")

# Short ticks keep elections and joins quick. Every value can be overridden or, with None, left to ZooKeeper.
ZOO_CFG = {
    "tickTime": 500,
    "initLimit": 20,
    "syncLimit": 10,
    "maxSessionTimeout": 40000,
    "maxClientCnxns": 0,
    "reconfigEnabled": "true",
    "4lw.commands.whitelist": "*",
    "admin.enableServer": "false",
    "preAllocSize": 1024,  # KiB; the default writes 64 MiB of zeros per log file
}
PROPERTIES = {"zookeeper.DigestAuthenticationProvider.superDigest": SUPER_DIGEST}


class Ensemble:
    """Servers 1…size, started by start(). Use as a context manager, or stop() at the end.

    cfg / properties hold for all servers, server_cfg / server_properties ({id: {...}}) for one;
    hosts ({id: "127.0.0.9"}) gives a server a loopback address of its own. static: the first members are started from
    static files, without dynamic ones; the ensemble's config then has no client addresses. Joiners never are.
    """

    def __init__(self, size=3, *, first_id=1, cfg=None, properties=None, server_cfg=None,
                 server_properties=None, hosts=None, heap_mb=128, static=False):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zkferry-ensemble-"))
        self.servers = {}
        self._ports = Ports()
        self._cfg = {**ZOO_CFG, **(cfg or {})}
        self._properties = {**PROPERTIES, **(properties or {})}
        self._server_cfg = server_cfg or {}
        self._server_properties = server_properties or {}
        self._hosts = hosts or {}
        self._heap_mb = heap_mb
        self._clients = []
        members = [self._make(sid) for sid in range(first_id, first_id + size)]
        for server in members:
            if static:
                server.write_static_file(self._cfg_of(server), [m.static_line for m in members])
            else:
                self._write(server, [m.line for m in members])

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, _value, _trace):
        if kind is not None:
            self.print_logs()
        self.stop()

    def __getitem__(self, sid):
        return self.servers[sid]

    # Life

    def start(self, ids=None):
        """Starts the given (default: all configured) servers and waits until they serve."""
        chosen = list(ids) if ids is not None else [s.id for s in self.servers.values() if s.configured]
        for sid in chosen:
            self.servers[sid].start()
        self.wait_serving(chosen)
        return self

    def stop(self):
        for client in self._clients:
            client.stop()
            client.close()
        self._clients = []
        for server in self.servers.values():
            server.kill9()  # nobody reads this data again
        self._ports.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    def joiner(self, sid, members=None):
        """A new server configured as protocol.md §5.3 says: the current members and itself, not started.

        members: lines to list instead of the ensemble's present config.
        """
        self.planned(sid)
        return self.configure(sid, members)

    def planned(self, sid):
        """A server with ports but without files: its line can go into a plan before it exists."""
        return self._make(sid)

    def configure(self, sid, members=None):
        """Writes the files of a planned server, listing the current members and itself."""
        server = self.servers[sid]
        lines = members if members is not None else self.config().members.values()
        self._write(server, [*lines, server.line])
        return server

    def _make(self, sid):
        assert sid not in self.servers, f"id {sid} is taken"
        server = Server(sid, self.directory / str(sid), self._hosts.get(sid, "127.0.0.1"), self._ports,
                        {**self._properties, **self._server_properties.get(sid, {})}, self._heap_mb)
        self.servers[sid] = server
        return server

    def _write(self, server, lines):
        server.write_files(self._cfg_of(server), lines)

    def _cfg_of(self, server):
        return {**self._cfg, **self._server_cfg.get(server.id, {})}

    # What it says

    def wait_serving(self, ids, deadline=60):
        for sid in ids:
            server = self.servers[sid]

            def serving(server=server):
                assert server.running, f"server {server.id} exited with {server.exit_code}"
                return server.mode() in SERVING
            wait_for(serving, deadline, f"server {sid} serves")

    def running(self):
        return [server for server in self.servers.values() if server.running]

    def leader(self, deadline=30):
        """The leader's id. A removed leader says `leader` for a moment longer: the higher epoch wins."""
        def find():
            leaders = [s for s in self.running() if s.mode() == "leader"]
            return max(leaders, key=lambda s: s.zxid()).id if leaders else None
        return wait_for(find, deadline, "the ensemble has a leader")

    def followers(self):
        """Ids, ascending. All that run are expected to answer: one that is slow must not be missing."""
        return sorted(s.id for s in self.running() if s.mode(WORD_SECONDS) == "follower")

    def lines(self, ids):
        return [self.servers[sid].line for sid in ids]

    def server_line(self, sid):
        return self.servers[sid].line

    def addresses(self, ids=None):
        """A connect string for clients; default: all servers that run."""
        chosen = ids if ids is not None else [server.id for server in self.running()]
        return ",".join(self.servers[sid].address for sid in chosen)

    def config(self, sid=None):
        """/zookeeper/config, read directly (from one server, or from any that serves).

        Behind a sync: a follower counts with a new config a moment before its tree shows it.
        """
        with self.client(sid) as client:
            client.sync("/zookeeper/config")
            text, _ = client.get("/zookeeper/config")
        return Config.parse(text.decode("ascii"))

    def members_active(self, sid):
        return self.servers[sid].active()

    # Clients

    def client(self, sid=None, *, super_user=False, **options):
        """A started kazoo client straight to one server (or to any); usable with `with`."""
        ids = [sid] if sid is not None else [s.id for s in self.running() if s.mode() in SERVING]
        assert ids, "no server serves"
        client = DirectClient(hosts=self.addresses(ids), timeout=options.pop("timeout", 10.0),
                              auth_data=[SUPER_AUTH] if super_user else None, **options)
        client.start(timeout=START_SECONDS * SCALE)
        self._clients.append(client)
        client.on_exit = lambda: self._clients.remove(client)
        return client

    def reconfig(self, *, joining=None, leaving=None, sid=None):
        """One reconfig by hand, as an operator would; returns the new Config."""
        with self.client(sid if sid is not None else self.leader(), super_user=True) as client:
            text, _ = client.reconfig(joining=",".join(joining) if joining else None,
                                      leaving=",".join(map(str, leaving)) if leaving else None,
                                      new_members=None)
        return Config.parse(text.decode("ascii"))

    def print_logs(self, stream=None):
        for server in self.servers.values():
            state = "running" if server.running else f"exit {server.exit_code}"
            print(f"--- server {server.id} ({state}) ---\n{server.log_tail()}", file=stream or sys.stderr)


class DirectClient(KazooClient):
    """kazoo's client as a context manager that always stops."""

    on_exit = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.close()
        if self.on_exit:
            self.on_exit()
