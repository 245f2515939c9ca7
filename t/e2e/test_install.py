"""dev install and dev uninstall, on a copy of this machine's directories."""

import asyncio
import os
import re
import shutil

from harness import TOP

# what install writes to, and what "nginx -t" may
COPIED = ("/etc/nginx", "/usr/lib/nginx", "/usr/share/nginx", "/var/lib/nginx", "/var/log/nginx")

MODULE = "/usr/lib/nginx/modules/ngx_http_tgbot_module.so"

# the owner, the mode and the contents of each file, but of logs
LIST = r"""
list() {
    find /etc/nginx /usr/lib/nginx /usr/share/nginx /var/lib/nginx \
        -printf '%M %u %g %p %l\n' | sort
    find /etc/nginx /usr/lib/nginx /usr/share/nginx/modules-available -type f \
        -exec sha256sum {} + | sort
}
"""

SITE = """
server {
    listen unix:/run/tgbot-test.sock;
    location = /tg/shop { tgbot_webhook shop; tgbot_secret_token off; tgbot_reply hi; }
}
"""


async def _root(case, script):
    """Runs the script in a mount namespace of its own; -> its status and its output."""
    copies = [f"mkdir -p {path} $copy{path}; cp -a {path}/. $copy{path}; "
              f"mount --bind $copy{path} {path}" for path in COPIED]
    text = "\n".join(["set -e", f"copy={case.directory}/copy", "rm -rf $copy", *copies,
                      "mount -t tmpfs none /run",
                      LIST, f"dev={TOP}/dev", script])
    environment = {name: value for name, value in os.environ.items() if name != "CC"}
    process = await asyncio.create_subprocess_exec(
        "unshare", "-m", "sh", "-c", text, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate()
    shutil.rmtree(f"{case.directory}/copy", ignore_errors=True)
    return process.returncode, output.decode()


def _may_mount(case):
    if os.geteuid() == 0 and os.system("unshare -m true 2> /dev/null") == 0:
        return True
    case.skip("mounting needs root")
    return False


def _parts(output):
    """What the script printed behind each line "== name"."""
    found = re.split(r"^== (\w+)\n", output, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2]))


async def test_uninstall(case):
    """What install made is gone, and nothing else."""
    if not _may_mount(case):
        return
    status, output = await _root(case, f"""
        $dev uninstall > /dev/null 2>&1; rm -rf /etc/nginx/tgbot /var/lib/nginx/tgbot
        nginx -t 2> /dev/null  # makes directories the workers'
        echo == before; list
        echo == install; $dev install 2>&1
        echo == made; list
        cat /etc/nginx/modules-enabled/50-mod-http-tgbot.conf
        $dev install 2>&1
        echo == again; list
        echo == used; printf '%s' '{SITE}' > /etc/nginx/conf.d/shop.conf; nginx -t 2>&1
        echo == refused; ! $dev uninstall 2>&1; test -e {MODULE}; nginx -t 2>&1
        rm /etc/nginx/conf.d/shop.conf
        echo == uninstall; $dev uninstall 2>&1
        echo == after; list
        echo == twice; $dev uninstall 2>&1
        echo == last; list
        """)
    case.equal(status, 0, f"the status, with {output[-2000:]}")
    parts = _parts(output)
    if status:
        return

    made = parts["made"]
    for line in ("drwxr-xr-x root root /etc/nginx/tgbot ", "drwx------ root root "
                 "/var/lib/nginx/tgbot ", f"-rw-r--r-- root root {MODULE} "):
        case.check(line in made, f"no {line!r} in what was installed")
    case.check("load_module modules/ngx_http_tgbot_module.so;" in made, "nothing loads it")
    case.check("installed; nginx -s reload" in parts["install"], parts["install"])
    case.check(made.startswith(parts["again"]), "a second install makes a difference")
    case.check("test is successful" in parts["used"], parts["used"])
    case.check("unknown directive \"tgbot_webhook\"" in parts["refused"]
               and "take the directives tgbot_* out first" in parts["refused"]
               and "test is successful" in parts["refused"], parts["refused"])
    case.check("uninstalled" in parts["uninstall"] and "what stays, with" not in
               parts["uninstall"], parts["uninstall"])
    for name in ("after", "last"):
        case.equal(set(parts[name].splitlines()) ^ set(parts["before"].splitlines()), set(),
                   f"the difference {name} uninstall")


async def test_uninstall_files(case):
    """Files of the user stay, and uninstall tells where."""
    if not _may_mount(case):
        return
    status, output = await _root(case, """
        $dev uninstall > /dev/null 2>&1
        $dev install > /dev/null 2>&1
        (umask 077; echo secret > /etc/nginx/tgbot/shop.secret)
        chmod 750 /etc/nginx/tgbot
        $dev install > /dev/null 2>&1
        echo == made; list
        echo == uninstall; $dev uninstall 2>&1
        echo == after; list; cat /etc/nginx/tgbot/shop.secret
        """)
    case.equal(status, 0, f"the status, with {output[-2000:]}")
    parts = _parts(output)
    if status:
        return
    case.check("drwxr-x--- root root /etc/nginx/tgbot " in parts["made"], "a mode was changed")
    case.check(re.search(r"^what stays, .*: /etc/nginx/tgbot", parts["uninstall"], re.MULTILINE),
               parts["uninstall"])
    case.check(parts["after"].endswith("secret\n"), "the file of the user is gone")
    case.check(MODULE not in parts["after"], "the module is still there")
