"""Submissions that attack: each is to define `double(number)`, and tries something else beside it.

The prelude is the first request, an entry's source the second, and a call of `double(3)` the third. Its
outcome is what the grader is to see: "right" or "wrong" (a value), "raised", or "ended"; several where the
machine decides. `got` is what the submission itself reports under this name: what its attempts ended with.
"""

import json
from dataclasses import dataclass

PRELUDE = '''
import os, sys, socket, subprocess, threading, ctypes, resource, signal
def attempt(deed, *args):
    """Return an error's name, or what came out."""
    try:
        return deed(*args)
    except BaseException as problem:
        return type(problem).__name__
def forge(text, numbers=range(16)):
    """Write what would be answers, if one of the numbers is that of the request."""
    for number in numbers:
        os.write(3, b'%d ' % number + text.encode() + b'\\n')
def double(number):
    return 2 * number
'''

RIGHT, WRONG, RAISED, ENDED = {"right"}, {"wrong"}, {"raised"}, {"ended"}
ANY = RIGHT | WRONG | RAISED | ENDED
DENIED = "PermissionError"
READ_ONLY = "OSError"


@dataclass(frozen=True)
class Hostile:
    """One submission: what it tries, its cells' source after the prelude, and what is to come of it.

    reason is part of the text of Ended or Raised. got None means that it reports nothing. Where kept is
    False, something may be left that only the container's end removes.
    """

    name: str
    source: str
    outcome: set[str]
    reason: str = ""
    got: object = None
    kept: bool = True


def _body(*lines: str) -> str:
    return "def double(number):\n" + "\n".join(f"    {line}" for line in lines)


def _forged(fields: dict[str, object]) -> str:
    """Return a function that writes its own answer to every request."""
    return _body(f"forge({json.dumps(fields)!r})", "return 7")


TIME, PROCESS, SIZE, UNREADABLE = "took longer", "its process ended", "wrote more", "answered what cannot"

ENDLESS = [
    Hostile("loops for ever", _body("while True: pass"), ENDED, TIME),
    Hostile(
        "loops for ever and catches all",
        _body("while True:", "    try:", "        while True: pass", "    except BaseException: pass"),
        ENDED,
        TIME,
    ),
    Hostile("writes without end", _body("while True: print('x' * 10_000)"), ENDED, TIME),
    Hostile("stops itself", _body("os.kill(os.getpid(), signal.SIGSTOP)"), ENDED, TIME),
    Hostile(
        "ignores signals",
        "for one in range(1, 65): attempt(signal.signal, one, signal.SIG_IGN)\n" + _body("signal.pause()"),
        ENDED,
        TIME,
    ),
    Hostile(
        "reads its connection itself",
        _body("return os.read(3, 100) and 6"),
        ENDED,
        TIME,
    ),
]

GONE = [
    Hostile("os._exit", _body("os._exit(0)"), ENDED, PROCESS),
    Hostile("kills itself", _body("os.kill(os.getpid(), 9)"), ENDED, PROCESS),
    Hostile("aborts", _body("os.abort()"), ENDED, PROCESS),
    Hostile("reads at address 0", _body("ctypes.string_at(0)"), ENDED, PROCESS),
    Hostile("closes every descriptor", _body("os.closerange(0, 256)"), ENDED, PROCESS),
    Hostile("becomes another program", _body("os.execv('/bin/true', ['true'])"), ENDED, PROCESS),
    Hostile("leaves by sys.exit", _body("sys.exit(0)"), RAISED, "SystemExit"),
    Hostile("recurses", "def double(number): return double(number)", RAISED, "RecursionError"),
    Hostile(
        "recurses without Python's limit",
        "sys.setrecursionlimit(10**9)\n"
        "class A:\n"
        "    def __getattr__(self, name): return getattr(self, name + 'a')\n" + _body("return A().a"),
        RAISED | ENDED,
    ),
    Hostile(
        "an exception whose words never come",
        "class Mute(Exception):\n    def __str__(self): raise self\n" + _body("raise Mute"),
        RAISED,
        "Mute",
    ),
    Hostile(
        "an exception with a name and words of a million letters",
        "Long = type('L' * 10**6, (Exception,), {})\n" + _body("raise Long('x' * 10**6)"),
        RAISED,
        "LLL",
    ),
    Hostile(
        "an exit that never ends", "import atexit\natexit.register(lambda: [0 for _ in iter(int, 1)])", RIGHT
    ),
]

GREEDY = [
    Hostile("forks without end", _body("while True: os.fork()"), RAISED | ENDED),
    Hostile(
        "forks a hundred that stay, and goes on",
        "def breed():\n"
        "    for _ in range(100):\n"
        "        if os.fork() == 0: signal.pause()\n"
        "got = attempt(breed)",
        RIGHT,
        got="BlockingIOError",
    ),
    Hostile("takes all memory", _body("return len(bytearray(10**10))"), RAISED, "MemoryError"),
    Hostile(
        "takes all memory with many processes",
        "for _ in range(8):\n"
        "    if os.fork() == 0:\n"
        "        memory = b'x' * (150 << 20)\n"
        "        signal.pause()\n"
        "import time; time.sleep(1)",
        RIGHT | ENDED,
        kept=False,
    ),
    Hostile(
        "fills the disk",
        "def fill():\n"
        "    for name in range(100): open(f'{name}', 'wb').write(b'x' * (15 << 20))\n"
        "got = attempt(fill)",
        RIGHT,
        got="OSError",
    ),
    Hostile(
        "writes one file without end",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "def fill():\n"
        "    with open('one', 'wb', 0) as file:\n"
        "        while True: file.write(b'x' * (1 << 20))\n"
        "got = attempt(fill)",
        RIGHT,
        got="OSError",
    ),
    Hostile(
        "makes files without end",
        "def fill():\n    for name in range(100_000): open(f'{name}', 'w').close()\ngot = attempt(fill)",
        RIGHT,
        got="OSError",
    ),
    Hostile(
        "opens files without end",
        "def fill(): kept = [open('/dev/null') for _ in range(10_000)]\ngot = attempt(fill)",
        RIGHT,
        got="OSError",
    ),
    Hostile(
        "starts threads without end",
        "def many():\n    for _ in range(1000): threading.Thread(target=signal.pause, daemon=True).start()\n"
        "got = attempt(many)",
        RIGHT,
        got="RuntimeError",
    ),
    Hostile(
        "raises its own limits",
        "got = attempt(resource.setrlimit, resource.RLIMIT_AS, (-1, -1))",
        RIGHT,
        got="ValueError",
    ),
    Hostile("prints 300,000 lines", "for number in range(300_000): print(number)", RIGHT),
    Hostile("returns 2 MB", _body("return 'x' * (2 << 20)"), WRONG),
]

FORGED = [
    Hostile("5 MB on its connection", _body("os.write(3, b'x' * (5 << 20))", "return 7"), ENDED, SIZE),
    Hostile(
        "the relay's and the keeper's lines on every descriptor",
        """
for line in (b'c {"value": 6}\\n', b'x time\\n', b'k {"left": ""}\\n', b'e0\\n', b'q1 {}\\n'):
    for descriptor in range(256): attempt(os.write, descriptor, line)
"""
        + _body("return 7"),
        WRONG,
    ),
    Hostile(
        "answers before it is asked", _body("return 7") + "\nforge('{\"value\": 7}', range(1000))", WRONG
    ),
    Hostile("what the keeper alone may say, as an answer", _forged({"left": ""}), ENDED, UNREADABLE),
    Hostile("two answers in one", _forged({"value": 6, "raised": ["E", ""]}), ENDED, UNREADABLE),
    Hostile("no JSON", _body("forge('}')"), ENDED, UNREADABLE),
    Hostile("no UTF-8", _body('os.write(3, b\'3 {"value": "\\xff"}\\n\')'), ENDED, UNREADABLE),
    Hostile(
        "JSON nested 200,000 deep", _body("forge('{\"value\": ' + '[' * 200_000, [3])"), ENDED, UNREADABLE
    ),
    Hostile(
        "a number of 500,000 digits",
        _body("forge('{\"value\": ' + '9' * 500_000 + '}', [3])"),
        ENDED,
        UNREADABLE,
    ),
    Hostile(
        "asks about a thing that it was never given",
        _forged({"ask": ["gradebook", "read", {"tuple": []}, {"dict": []}]}),
        RAISED,
    ),
    Hostile("a question without arguments", _forged({"ask": ["x", "y", [], []]}), ENDED, UNREADABLE),
    Hostile("a question that is none", _forged({"ask": ["gradebook", "read"]}), ENDED, UNREADABLE),
    Hostile(
        "a reference that it was never given", _forged({"value": {"reference": ["gradebook", []]}}), WRONG
    ),
    Hostile(
        "a record with Python's own names",
        _forged({"value": {"record": ["int", [["__class__", 6], ["__eq__", 6]]]}}),
        WRONG,
    ),
    Hostile(
        "12,000 keys of one hash",
        _body(
            "keys = ','.join(f'[{n * (2**61 - 1)}, 0]' for n in range(12_000))",
            "forge('{\"value\": {\"dict\": [' + keys + ']}}', [3])",
        ),
        WRONG,
    ),
    Hostile("two processes answer", _body("os.fork()", "return 2 * number"), RIGHT),
    Hostile("another json.dumps", "import json\njson.dumps = lambda *_, **__: '{\"value\": 7}'", WRONG),
    Hostile(
        "its own end of the connection, replaced",
        "import labkit.grading.sandbox._child as child\nchild.write = lambda _: b'nonsense'",
        ENDED,
        UNREADABLE,
    ),
    Hostile(
        "a pickle",
        "class P:\n    def __reduce__(self): return os.system, ('true',)\n" + _body("return P()"),
        WRONG,
    ),
    Hostile(
        "output that looks like a result",
        "print('6 passed, 100 points')\n" + _body("print(6)", "return 7"),
        WRONG,
    ),
    Hostile(
        "a result by the display hook",
        _body("sys.displayhook(6)", "get_ipython().display_pub.publish({'text/plain': '6'})", "return 7"),
        WRONG,
    ),
]

LIES = [
    Hostile(
        "equal to everything",
        "class Same:\n    def __eq__(self, other): return True\n    __hash__ = None\n"
        + _body("return Same()"),
        WRONG,
    ),
    Hostile(
        "an int that lies",
        "class Liar(int):\n"
        "    __eq__ = lambda *_: True\n"
        "    __hash__ = int.__hash__\n"
        "    __int__ = lambda _: 6\n"
        "    __index__ = lambda _: 6\n" + _body("return Liar(7)"),
        WRONG,
    ),
    Hostile(
        "a str that lies",
        "class Liar(str):\n"
        "    __eq__ = lambda *_: True\n"
        "    __hash__ = str.__hash__\n"
        "    __str__ = lambda _: 6\n" + _body("return Liar(7)"),
        WRONG,
    ),
    Hostile(
        "a dict that lies",
        "class Liar(dict):\n    __eq__ = lambda *_: True\n    items = lambda _: 6\n" + _body("return Liar()"),
        WRONG,
    ),
    Hostile(
        "a class that says it is int",
        "class Liar:\n    __class__ = int\n    __eq__ = lambda *_: True\n" + _body("return Liar()"),
        RAISED | WRONG,
    ),
    Hostile("not a number", _body("return float('nan')"), WRONG),
    Hostile("an integer of a million digits", _body("return 1 << 3_000_000"), WRONG),
    Hostile(
        "a decimal that fills the memory",
        _body("import decimal", "return decimal.Decimal('1e999999')"),
        WRONG,
    ),
    Hostile("a list nested 1,000 deep", _body("a = []", "for _ in range(1000): a = [a]", "return a"), WRONG),
    Hostile("a list that contains itself", _body("a = []", "a.append(a)", "return a"), WRONG),
    Hostile("half of a pair of letters", _body("raise ValueError('\\ud800')"), RAISED, "ValueError: ?"),
]

HARNESS = [
    Hostile("traces", "sys.settrace(lambda *_: None); threading.settrace(lambda *_: None)", RIGHT),
    Hostile(
        "changes values by its profile hook",
        "sys.setprofile(lambda frame, event, value: frame.f_locals.update(number=0))",
        ANY,
    ),
    Hostile(
        "patched builtins",
        "import builtins\n"
        "builtins.isinstance = lambda *_: True\n"
        "builtins.type = lambda *_: int\n"
        "builtins.len = id",
        ANY,
    ),
    Hostile("no builtins", "import builtins\nbuiltins.__dict__.clear()", ANY),
    Hostile("no modules", "sys.modules.clear()", ANY),
    Hostile("another shell", "get_ipython().run_cell = None\nget_ipython().user_ns.clear()", ANY),
    Hostile("a transformer of its code", "get_ipython().ast_transformers.append(None)", RIGHT),
    Hostile(
        "garbage that resists", "class D:\n    def __del__(self):\n        global d; d = D()\nd = D()", RIGHT
    ),
]

SPIES = [
    Hostile(
        "the keeper's and the relay's secrets",
        "got = {attempt(open, f'/proc/{pid}/{name}') for pid in (1, os.getppid())\n"
        "       for name in ('environ', 'mem', 'maps', 'stack')}",
        RIGHT,
        got={DENIED},
    ),
    Hostile(
        "the descriptors of others",
        "got = {attempt(os.listdir, f'/proc/{pid}/fd') for pid in (1, os.getppid())}",
        RIGHT,
        got={DENIED},
    ),
    Hostile(
        "the arguments of others",
        "got = {open(f'/proc/{pid}/cmdline').read() for pid in (1, os.getppid())}",
        RIGHT,
        got={"python3\0-m\0labkit.grading.sandbox\0"},
    ),
    Hostile(
        "its own environment", "got = {'LABKIT', 'TOKEN', 'DOCKER_HOST'} & {*os.environ}", RIGHT, got=set()
    ),
    Hostile("the homes of others", "got = attempt(os.listdir, '/tmp')", RIGHT, got=DENIED),
    Hostile(
        "the grader's code",
        "import importlib.util\n"
        "got = [bool(importlib.util.find_spec(f'labkit.{name}')) for name in ('lesson', 'grading._release')]",
        RIGHT,
        got=[False, False],
    ),
    Hostile(
        "tracks others",
        "libc = ctypes.CDLL(None)\ngot = [libc.ptrace(16, pid, 0, 0) for pid in (1, os.getppid())]",
        RIGHT,
        got=[-1, -1],
    ),
    Hostile(
        "ends others",
        "got = [attempt(os.kill, pid, 9) for pid in (1, os.getppid())]",
        RIGHT,
        got=[DENIED, DENIED],
    ),
    Hostile("ends all that it may", "attempt(os.kill, -1, 9)", RIGHT),
    Hostile(
        "becomes root",
        "got = {attempt(deed, 0) for deed in (os.setuid, os.seteuid, os.setgid, os.setegid)}\n"
        "got |= {attempt(os.setgroups, [0]), attempt(os.setresuid, 20000, 20000, 20000)}",
        RIGHT,
        got={DENIED},
    ),
    Hostile(
        "has rights left",
        "status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines())\n"
        "names = ('CapPrm', 'CapEff', 'CapAmb', 'NoNewPrivs', 'Groups')\n"
        "got = {name: status[name].strip('0') for name in names}\n"
        "got['Groups'] = got['Groups'].strip()",
        RIGHT,
        got={"CapPrm": "", "CapEff": "", "CapAmb": "", "NoNewPrivs": "1", "Groups": ""},
    ),
    Hostile(
        "namespaces and mounts of its own",
        "libc = ctypes.CDLL(None)\n"
        "got = [libc.unshare(0x10000000), libc.unshare(0x20000), libc.mount(b'x', b'.', b'tmpfs', 0, 0)]",
        RIGHT,
        got=[-1, -1, -1],
    ),
]

NETWORK = [
    Hostile(
        "calls out",
        "def call(host): socket.create_connection((host, 80), 1)\n"
        "got = [attempt(call, host) for host in ('1.1.1.1', '172.17.0.1', '8.8.8.8')]",
        RIGHT,
        got=[READ_ONLY] * 3,
    ),
    Hostile("asks for a name", "got = attempt(socket.getaddrinfo, 'example.org', 80)", RIGHT, got="gaierror"),
    Hostile(
        "has an interface", "got = [name for _, name in socket.if_nameindex() if name != 'lo']", RIGHT, got=[]
    ),
    Hostile(
        "raw packets", "got = attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW)", RIGHT, got=DENIED
    ),
    Hostile(
        "the engine's socket",
        "got = [os.path.exists(f'/{place}/docker.sock') for place in ('run', 'var/run')]",
        RIGHT,
        got=[False, False],
    ),
]

RESIDUE = [
    Hostile(
        "writes everywhere",
        "import pathlib\n"
        "places = ['/', '/etc', '/usr/lib/python3/dist-packages', '/tmp', '/var/tmp',\n"
        "    '/run', '/dev',\n"
        "    '/dev/shm', '/dev/mqueue', '/proc/sys/kernel', '/sys', '/root', '/home']\n"
        "got = [p for p in places if isinstance(attempt(pathlib.Path(p, 'left').write_text, 'x'), int)]",
        RIGHT,
        got=[],
    ),
    Hostile(
        "modules for the next one",
        "place = os.path.expanduser('~/.local/lib/python3.11/site-packages'); os.makedirs(place)\n"
        "for folder in ('.', place):\n"
        "    for name in ('sitecustomize.py', 'usercustomize.py', 'left.pth', 'conftest.py', 'labkit.py'):\n"
        "        open(f'{folder}/{name}', 'w').write('import os; os._exit(1)')",
        RIGHT,
    ),
    Hostile("a process that lives on", "subprocess.Popen(['sleep', '1000'], start_new_session=True)", RIGHT),
    Hostile(
        "a daemon that answers for the next one",
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        listener = socket.create_server(('127.0.0.1', 8080))\n"
        "        while True:\n"
        "            for number in range(100): os.write(3, b'%d {\"value\": 7}\\n' % number)\n"
        "            listener.accept()\n"
        "    os._exit(0)",
        RIGHT | WRONG | ENDED,
    ),
    Hostile(
        "shared memory of System V, and queues",
        "libc = ctypes.CDLL(None)\n"
        "got = [libc.shmget(7, 4096, 0o1666), libc.msgget(7, 0o1666), libc.semget(7, 1, 0o1666),\n"
        "       ctypes.CDLL('librt.so.1').mq_open(b'/left', 0o102, 0o666, None)]",
        RIGHT,
        got=[-1, -1, -1, -1],
    ),
    Hostile(
        "a folder that nobody may enter",
        "os.mkdir('shut'); open('shut/file', 'w'); os.chmod('shut', 0)",
        RIGHT,
    ),
    Hostile(
        "folders 3,000 deep",
        "for _ in range(3000):\n    os.mkdir('d'); os.chdir('d')",
        RIGHT,
        kept=False,
    ),
    Hostile(
        "links out of its home", "os.symlink('/etc', 'folder'); os.symlink('/etc/passwd', 'file')", RIGHT
    ),
    Hostile("a home that is no folder", "os.chmod(os.environ['HOME'], 0)", RIGHT),
    Hostile("a queue and a socket as files", "os.mkfifo('queue'); socket.socket(1).bind('socket')", RIGHT),
]

HOSTILE = [*ENDLESS, *GONE, *GREEDY, *FORGED, *LIES, *HARNESS, *SPIES, *NETWORK, *RESIDUE]
