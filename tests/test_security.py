"""What the code never does, read from its source, and what files of strangers cannot make it do.

The rules walk every file of the package and its plugins. A file that needs an exception stands in
``ALLOWED`` with the reason.
"""

import ast
import inspect
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from peft import LoraConfig

from mfl_adapt.adapter.extra import rebuild
from mfl_adapt.adapter.harmless import check_harmless
from mfl_adapt.cli.view import view as cli_view
from mfl_adapt.config import load_config
from mfl_adapt.errors import AdapterError, ConfigError, MflAdaptError
from mfl_adapt.pipeline import open_base_of
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.report.live import LiveView, find_sets

FILES = sorted([*(ROOT / "mfl_adapt").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])

KIT = "the kit for plugin authors, which the author runs on their own code"
ALLOWED = {
    "pickle": {
        "plugins/mfl_adapt_markerless_mouse/pickles.py": "the restricted reader itself",
        "mfl_adapt/models/weight_files.py": "names the error of torch's restricted reader",
        "mfl_adapt/synth/recording.py": "writes a synthetic calibration, reads none",
        "mfl_adapt/plugin/testing/worker.py": KIT,
        "mfl_adapt/plugin/testing/probes.py": KIT,
        "mfl_adapt/plugin/testing/exporter_rules.py": KIT,
    },
    "unpickling": {"mfl_adapt/plugin/testing/": KIT},
    "import by name": {
        "mfl_adapt/__init__.py": "names in this file",
        "mfl_adapt/adapter/__init__.py": "names in this file",
        "mfl_adapt/evaluate/__init__.py": "names in this file",
        "mfl_adapt/cli/app.py": "names in this file",
        "mfl_adapt/cli/external.py": "commands of installed packages, when invoked",
        "plugins/mfl_adapt_trackers/follower.py": "three trackers, named by their modules",
        "mfl_adapt/plugin/": "entry points of installed packages, and files that the user names",
    },
    "zipfile": {
        "mfl_adapt/models/weight_files.py": "compares checksums, extracts nothing",
        "plugins/mfl_adapt_procedural/cache.py": "names an error of numpy's reader",
    },
    "process": {
        "mfl_adapt/doctor/machine.py": "nvcc --version, with a list of arguments",
        "mfl_adapt/images/mp4.py": "FFmpeg of imageio-ffmpeg, with a list of arguments",
        "mfl_adapt/plugin/testing/": KIT,
    },
}

PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_PARSERS = {"yaml", "tarfile", "xml", "lxml", "code", "codeop", "runpy", "imp", "telnetlib"}
SERVERS = {"http.server", "socketserver", "wsgiref", "xmlrpc.server", "aiohttp", "flask"}
PROCESSES = {"subprocess", "pty", "asyncio.subprocess"}
BY_NAME = {"import_module", "exec_module", "spec_from_file_location", "run_path", "run_module"}


def is_allowed(rule, name):
    return any(name.startswith(place) for place in ALLOWED[rule])


def imported(node):
    """Modules that a statement imports."""
    if isinstance(node, ast.Import):
        return {one.name for one in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level:
        return {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return set()


def called(node):
    """Dotted name of a called function, as far as it is plain: ``torch.load``."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def literal(call, keyword):
    """A keyword's plain value; None where it is absent or anything else."""
    values = [one.value for one in call.keywords if one.arg == keyword]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def broken_rules(source, name):
    """Yield the rules that a file breaks, each with its line."""
    for node in ast.walk(ast.parse(source)):
        for rule in _broken_by_import(imported(node), name):
            yield f"{name}:{node.lineno}: {rule}"
        if isinstance(node, ast.Call):
            for rule in _broken_by_call(node, called(node), name):
                yield f"{name}:{node.lineno}: {rule}"
        if isinstance(node, ast.Constant) and node.value in {"0.0.0.0", "::"}:
            yield f"{name}:{node.lineno}: an address that other machines reach"
        if isinstance(node, ast.Constant) and str(node.value).startswith(("/tmp", "/var/tmp")):
            yield f"{name}:{node.lineno}: a fixed place that other users can prepare"


def _broken_by_import(modules, name):
    tops = {module.split(".")[0] for module in modules}
    if tops & PICKLES and not is_allowed("pickle", name):
        yield "pickles"
    if tops & UNSAFE_PARSERS:
        yield f"{sorted(tops & UNSAFE_PARSERS)[0]}, which does too much"
    if tops & {"zipfile"} and not is_allowed("zipfile", name):
        yield "archives"
    if (tops | modules) & PROCESSES and not is_allowed("process", name):
        yield "other programs"
    if modules & SERVERS:
        yield "a server of its own"


def _broken_by_call(call, function, name):
    last = function.rpartition(".")[2]
    if function in {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}:
        yield f"{function}()"
    if function.startswith(("os.exec", "os.spawn")) or literal(call, "shell") is True:
        yield "a shell or another program"
    if function == "torch.load" and literal(call, "weights_only") is not True:
        yield "torch.load without weights_only=True"
    if function in {"np.load", "numpy.load"} and literal(call, "allow_pickle") is not False:
        yield "np.load without allow_pickle=False"
    unpickling = function in {"pickle.load", "pickle.loads", "pickle.Unpickler"}
    if unpickling and not is_allowed("unpickling", name):
        yield "unpickling"
    if last in BY_NAME and not is_allowed("import by name", name):
        yield "an import by name"
    if last in {"extractall", "unpack_archive"} or function.endswith("archive.extract"):
        yield "unpacking an archive"
    if last == "YAML" and literal(call, "typ") not in {"rt", "safe"}:
        yield "YAML that builds objects"
    if last == "mktemp" or (last == "NamedTemporaryFile" and literal(call, "delete") is False):
        yield "a temporary file that others can guess or that stays"
    if any(one.arg == "trust_remote_code" for one in call.keywords):
        yield "code of a model repository"
    downloads = last == "from_pretrained" and "Tokenizer" in function
    if downloads and literal(call, "local_files_only") is not True:
        yield "a download by the way"
    if literal(call, "verify") is False or last == "_create_unverified_context":
        yield "a connection to nobody knows whom"
    if last.endswith("Server") and not any(one.arg == "host" for one in call.keywords):
        yield "a server on all addresses"
    host = literal(call, "host")
    if host is not None and host != "127.0.0.1":
        yield "a server for other machines"


def test_the_code_keeps_the_rules():
    assert len(FILES) > 300
    found = [
        text
        for path in FILES
        for text in broken_rules(
            path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
        )
    ]
    assert found == []


def test_every_exception_is_needed():
    places = {place for rule in ALLOWED.values() for place in rule}
    names = [path.relative_to(ROOT).as_posix() for path in FILES]
    assert [place for place in places if not any(name.startswith(place) for name in names)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from dill import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
        "def f():\n    exec(text)",
        "__import__(name)",
        "importlib.import_module(name)",
        "import yaml",
        "YAML(typ='unsafe')",
        "YAML()",
        "import tarfile",
        "archive.extractall(folder)",
        "archive.extract(name)",
        "shutil.unpack_archive(path)",
        "import subprocess",
        "run(text, shell=True)",
        "os.system(text)",
        "from http.server import HTTPServer",
        "viser.ViserServer(port=1)",
        "viser.ViserServer(host='0.0.0.0')",
        "Thing(host='10.0.0.1')",
        "tempfile.mktemp()",
        "open('/tmp/a')",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "CLIPTokenizer.from_pretrained(name)",
        "get(url, verify=False)",
    ],
)
def test_a_broken_rule_is_found(source):
    assert list(broken_rules(source, "mfl_adapt/data/a.py"))


def test_no_default_lets_other_machines_in():
    defaults = [
        (path.name, ast.unparse(default))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        for argument, default in _with_defaults(node.args)
        if argument.arg in {"host", "address", "bind"}
    ]
    assert set(defaults) <= {("view.py", "'127.0.0.1'")} | {(p.name, "None") for p in FILES}


def _with_defaults(arguments):
    plain = [*arguments.posonlyargs, *arguments.args]
    first = len(plain) - len(arguments.defaults)
    yield from zip(plain[first:], arguments.defaults, strict=True)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            yield argument, default


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A folder with a module that leaves a mark when it is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    code = "from pathlib import Path\nPath('it_ran').touch()\nMFL_API = 1\n"
    (tmp_path / "evil.py").write_text(code)
    yield tmp_path
    assert not Path("it_ran").exists()
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    "text",
    [
        "plugins: [./evil.py]\n",
        "plugins: [evil.py]\n",
        "plugins: [facelift, ../{folder}/evil.py]\n",
        "plugins: ['{here}/evil.py']\n",
        "extends: other.yaml\n",
    ],
)
def test_a_configuration_cannot_name_code(evil, text):
    (evil / "other.yaml").write_text("plugins: [./evil.py]\n")
    (evil / "a.yaml").write_text(text.replace("{folder}", evil.name).replace("{here}", str(evil)))
    with pytest.raises(ConfigError, match=r"other\.yaml:1: |a\.yaml:1: .*must not name code"):
        load_config(evil / "a.yaml")


def test_what_the_user_names_may_run(evil):
    (evil / "a.yaml").write_text("plugins: [./evil.py]\n")
    assert load_config(evil / "a.yaml", plugins=["./evil.py"]).config.plugins == ("./evil.py",)
    assert "./evil.py" in load_config("base", overrides=["plugins=[./evil.py]"]).config.plugins


@pytest.mark.parametrize("name", ["evil", "evil.run", "os.system", "os:system", "./evil.py"])
def test_a_component_is_found_among_plugins_only(evil, name):
    (evil / "a.yaml").write_text(f"base: {{id: '{name}'}}\nplugins: [facelift]\n")
    loaded = load_config(evil / "a.yaml")
    host = load_plugins(loaded.config.plugins)
    with pytest.raises(MflAdaptError):
        open_base_of({"base": {"id": name, "sha256": "", "fingerprint": ""}}, where="a", host=host)
    with pytest.raises(MflAdaptError):
        open_base_of({"base": {"id": name, "sha256": "", "fingerprint": ""}}, where="a")


@pytest.mark.parametrize("use", ["./evil.py", "evil", "evil:run", "../evil.run", "evil.py.run", 3])
def test_an_adapter_cannot_name_code(evil, use):
    with pytest.raises(AdapterError, match=r"expected adapter\.extra to name a component"):
        rebuild({"use": use}, "passport.json")


def test_an_adapter_of_an_unknown_plugin_imports_nothing(evil):
    with pytest.raises(AdapterError, match="expected the plugin 'evil'"):
        rebuild({"use": "evil.run"}, "passport.json")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"megatron_config": {"a": 1}, "megatron_core": "evil"}, "has peft import 'evil'"),
        ({"target_modules": "((a|ab)*)*x"}, "can take for ever to match"),
        ({"target_modules": "(.*)+.*x"}, "can take for ever to match"),
        ({"target_modules": ".*.*.*.*.*.*.*.*.*x"}, "can take for ever to match"),
        ({"rank_pattern": {"(a*)*b": 2}}, "rank_pattern"),
    ],
)
def test_settings_of_peft_cannot_name_code_or_hang(evil, settings, message):
    config = LoraConfig(**{"target_modules": ["fc"], **settings})
    with pytest.raises(AdapterError, match=message):
        check_harmless(config, "test.base")


@pytest.mark.parametrize("targets", [["to_qkv", "mlp.0"], r".*\.(to_qkv|fc)", "all-linear"])
def test_ordinary_settings_of_peft_are_harmless(targets):
    check_harmless(LoraConfig(target_modules=targets, rank_pattern={"mlp.0": 2}), "test.base")


def test_the_viewer_listens_on_this_machine_alone(tmp_path):
    pytest.importorskip("viser")
    path = tmp_path / "a.ply"
    path.write_bytes(small_ply())
    host = inspect.signature(cli_view).parameters["host"].default
    with LiveView(find_sets(path), host=host, port=0) as live:
        table = Path("/proc/net/tcp").read_text().splitlines()[1:]
        states = [line.split()[1:4] for line in table]
        listening = {local for local, _, state in states if state == "0A"}
        assert {one for one in listening if one.endswith(f":{live.port:04X}")} == {
            f"0100007F:{live.port:04X}"
        }
        tables = Path("/proc/net/tcp6")
        if tables.exists():
            assert f":{live.port:04X} " not in " ".join(
                line.split()[1] + " " for line in tables.read_text().splitlines()[1:]
            )


def small_ply():
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
    names += [*(f"scale_{index}" for index in range(3)), *(f"rot_{index}" for index in range(4))]
    lines = ["ply", "format binary_little_endian 1.0", "element vertex 1"]
    lines += [*(f"property float {name}" for name in names), "end_header\n"]
    return "\n".join(lines).encode() + np.full(len(names), 0.5, "<f4").tobytes()
