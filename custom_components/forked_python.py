"""Commands of MONAI without the seconds of its imports: a server imports once, and forks for each command.

The code of this project is imported by each command, as in a new interpreter.
"""

import atexit
import contextlib
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

SERVER = get_context("forkserver")
SERVER.set_forkserver_preload(["monai.bundle", "monai.engines", "monai.losses", "torch._dynamo"])


class ForkedPython:
    """``python -m module arguments`` with the methods of :class:`subprocess.Popen`; its output is added to a file.

    The server forks before anything uses a GPU: a CUDA context does not survive a fork.

    Args:
        command: the interpreter, ``-m``, the module and its arguments.
        stdout: the open file for both streams.
        stderr: always ``subprocess.STDOUT``.
        cwd: working directory of the command.
        env: the environment of the command.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdout: Any,
        stderr: int = subprocess.STDOUT,
        cwd: Path | None = None,
        env: Mapping[str, str],
    ) -> None:
        python, flag, module, *arguments = command
        assert [python, flag, stderr] == [sys.executable, "-m", subprocess.STDOUT], command
        self.command = command
        # The server's own check for a GPU must not start CUDA.
        os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
        self.process = SERVER.Process(
            target=run_module, args=(module, arguments, stdout.name, str(cwd or Path.cwd()), dict(env))
        )
        self.process.start()

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.command, timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it may have ended
            os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()


def run_forked(
    command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess:
    """Run a command to its end, as :func:`subprocess.run` does with both streams in ``stdout``."""
    with tempfile.NamedTemporaryFile("r") as output:
        code = ForkedPython(command, stdout=output, cwd=cwd, env=env).wait(timeout=300)
        return subprocess.CompletedProcess(command, code, output.read())


def run_module(module: str, arguments: Sequence[str], output: str, cwd: str, environment: Mapping[str, str]) -> None:
    """Run a module as ``python -m`` does, in a forked process, and end the process.

    Args:
        module: name of the module.
        arguments: its arguments.
        output: the file that both streams are added to.
        cwd: working directory.
        environment: the environment.

    Raises:
        SystemExit: at the end, with the exit code of the module.
    """
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    named = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = dict.fromkeys([cwd, *filter(None, named), *sys.path])
    sys.argv[:] = [module, *arguments]
    # This module came with its package, perhaps from another folder than the command's.
    for name in [name for name in sys.modules if name.partition(".")[0] == __name__.partition(".")[0]]:
        del sys.modules[name]
    threads, torch = environment.get("OMP_NUM_THREADS"), sys.modules.get("torch")
    if threads and torch:  # a torch that is imported later reads the environment itself
        torch.set_num_threads(int(threads))
    code: int | str | None = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    atexit._run_exitfuncs()
    sys.exit(code)
