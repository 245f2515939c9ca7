"""tgbot_gateway behind TLS, by HTTP/1.1 and by HTTP/2, with curl for the program."""

import asyncio
import os
import random
import shutil
import subprocess

from harness import free_port, keeps_freed, until
from simulator import media
from simulator.http1 import response
from test_gateway_faults import HELD, LARGE, TEMPORARY, gateway, resident

TLS = """\
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {directory}/cert.pem;
        ssl_certificate_key {directory}/key.pem;
"""

UPLOAD = 5 << 20


class Curl:
    """A curl that calls a method over one protocol."""

    def __init__(self, directory, port, protocol):
        self.output = f"{directory}/output"
        self._command = ["curl", "-sk", protocol, "-o", self.output,
                         "-w", "%{http_version} %{http_code}"]
        self._root = f"https://127.0.0.1:{port}/bot/bot/"

    async def start(self, method, *options):
        if os.path.exists(self.output):
            os.unlink(self.output)
        return await asyncio.create_subprocess_exec(
            *self._command, *options, self._root + method, stdout=asyncio.subprocess.PIPE)

    async def call(self, method, *options):
        """The version of HTTP and the status."""
        process = await self.start(method, *options)
        return (await process.communicate())[0].decode()

    def received(self):
        """What came of the answer so far."""
        try:
            with open(self.output, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""


def temporary(pid):
    """Whether a process has a temporary file open."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if "temp_body" in os.readlink(f"/proc/{pid}/fd/{fd}"):
                return True
        except FileNotFoundError:
            pass
    return False


async def scene_of(case):
    """A Bot API with a large answer to getWhole, behind one worker with TLS."""
    subprocess.run(
        ["openssl", *("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                      "-keyout key.pem -out cert.pem -days 2 -subj /CN=e2e").split()],
        cwd=case.directory, check=True, stderr=subprocess.DEVNULL)
    port = free_port()
    scene, nginx = await case.scene(
        locations=TLS.format(port=port, directory=case.directory) + gateway(more=TEMPORARY),
        nginx={"workers": 1})
    body = random.Random(1).randbytes(LARGE)
    serve = scene.api.serve

    def large(connection, request):
        if request.target.endswith("/getWhole"):
            connection.send(response(200, body, "application/json"))
        else:
            serve(connection, request)

    scene.api.serve = large
    return scene, nginx, port, body


async def through(case, protocol, version):
    """Uploads and downloads: whole, to a slow program, and to one that hangs up."""
    scene, nginx, port, body = await scene_of(case)
    curl = Curl(case.directory, port, protocol)
    worker, = nginx.workers()
    with open(f"{case.directory}/photo", "wb") as file:
        file.write(body[:UPLOAD])
    form = ("-F", "chat_id=1", "-F", f"photo=@{case.directory}/photo")
    well = f"{version} 200"

    case.equal(await curl.call("sendPhoto", *form), well, "an upload")
    case.equal([list(call.files.values()) for call in scene.api.executed],
               [[media.digest(body[:UPLOAD])]], "what was uploaded")
    case.equal(await curl.call("getWhole"), well, "a download")
    case.check(curl.received() == body, "what was downloaded")

    before = resident(worker)
    most = 0
    slow = await curl.start("getWhole", "--limit-rate", "10M")
    output = asyncio.create_task(slow.communicate())
    while not output.done():
        most = max(most, resident(worker) - before)
        await asyncio.sleep(0.01)
    case.equal(output.result()[0].decode(), well, "a slow download")
    case.check(curl.received() == body, "what was downloaded slowly")
    case.note(f"{most} KiB more for a slow program")
    case.check(keeps_freed() or most < HELD, f"{most} KiB are held for a slow program")

    for size in (1, 20000, 100000, 200000, 400000):
        slow = await curl.start("getWhole", "--limit-rate", "1M")
        case.check(await until(lambda least=size: len(curl.received()) >= least), "no answer")
        slow.kill()
        await slow.wait()

    requests = scene.api.requests
    slow = await curl.start("sendPhoto", "--limit-rate", "100k", *form)
    case.check(await until(lambda: temporary(worker)), "nothing is uploaded")
    slow.kill()
    await slow.wait()
    case.check(await until(lambda: not temporary(worker)), "a temporary file is left")
    case.equal(scene.api.requests, requests, "requests of an upload that was cut")

    case.equal(await curl.call("getWhole"), well, "a download after that")
    case.check(curl.received() == body, "what was downloaded after that")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_http1(case):
    if shutil.which("curl") is None:
        case.skip("curl is not installed")
        return
    await through(case, "--http1.1", "1.1")


async def test_http2(case):
    run = shutil.which("curl") and subprocess.run(["curl", "-V"], check=True,
                                                  stdout=subprocess.PIPE).stdout
    if not run or b"HTTP2" not in run:
        case.skip("there is no curl with HTTP/2")
        return
    await through(case, "--http2", "2")
