"""Builds for tests: the module with something defined, and libraries to preload."""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil

from harness import MODULE, TOP, untimed

COPIED = ("ngx_auto_config.h", "ngx_auto_headers.h", "ngx_modules.c",
          "ngx_http_tgbot_module_modules.c")


async def _run(*command, directory=None):
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{output.decode('utf-8', 'replace')}")


def _configured():
    """Where nginx's configure ran for the module that is tested, and nginx's source."""
    directory = os.path.dirname(MODULE)
    for objs in (f"{directory}/objs", directory):
        if os.path.exists(f"{objs}/Makefile"):
            break
    else:
        raise RuntimeError(f"{MODULE} was not built by \"dev\"")
    own = f"{os.path.dirname(objs)}/src"
    return objs, own if os.path.isdir(own) else "/usr/share/nginx/src"


@contextlib.contextmanager
def _alone(directory):
    """Holds a directory that tests in other processes build as well."""
    with open(f"{directory}.lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def module(name, *defines):
    """The path of build/<name>/ngx_http_tgbot_module.so, configured as the tested one."""
    objs, source = _configured()
    target = f"{TOP}/build/{name}"
    folders = [f"{target}/addon/{folder}" for folder in os.listdir(f"{TOP}/ngx_http_tgbot_module")]
    for folder in folders:
        os.makedirs(folder, exist_ok=True)

    with untimed(), _alone(target):
        with open(f"{objs}/Makefile", encoding="utf-8") as file:
            rules = file.read()
        flags = " ".join(f"-D{define}" for define in defines)
        rules = rules.replace(objs, target).replace("CFLAGS = ", f"CFLAGS = {flags} ", 1)
        # what takes its time, and what cannot do without it
        rules = rules.replace("-O2", "-O0").replace("-D_FORTIFY_SOURCE=2", "")
        old = ""
        if os.path.exists(f"{target}/Makefile"):
            with open(f"{target}/Makefile", encoding="utf-8") as file:
                old = file.read()
        if old != rules:
            shutil.rmtree(target)
            for folder in folders:
                os.makedirs(folder)
            with open(f"{target}/Makefile", "w", encoding="utf-8") as file:
                file.write(rules)
        for copied in COPIED:
            if os.path.exists(f"{objs}/{copied}"):
                shutil.copy2(f"{objs}/{copied}", target)

        await _run("make", "-s", f"-j{os.cpu_count()}", "-f", f"{target}/Makefile", "modules",
                   directory=source)
    return f"{target}/ngx_http_tgbot_module.so"


async def companion(source, directory):
    """The path of a module of nginx made of one file in t/tools, that uses the tested one."""
    objs, tree = _configured()
    with open(f"{objs}/Makefile", encoding="utf-8") as file:
        rules = file.read().replace("\\\n", " ")
    flags = [word for name in ("CFLAGS", "ALL_INCS")
             for word in re.search(rf"^{name} =(.*)$", rules, re.MULTILINE)[1].split()
             # the tables of modules of nginx and of this one are one to a sanitizer
             if not word.startswith("-fsanitize")]
    compiler = re.search(r"^CC =\s*(.*)$", rules, re.MULTILINE)[1].split()
    path = f"{directory}/{source.removesuffix('.c')}.so"
    await _run(*compiler, *flags, "-shared", "-fPIC", "-o", path,
               f"{TOP}/t/tools/{source}", directory=tree)
    return path


async def library(source, directory):
    """The path of a shared library made of one file in t/tools."""
    path = f"{directory}/{source.removesuffix('.c')}.so"
    await _run(os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-o", path,
               f"{TOP}/t/tools/{source}")
    return path
