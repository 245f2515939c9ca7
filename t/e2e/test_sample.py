"""nginx.conf.sample, with the demonstration that "dev run" shows."""

import contextlib
import io
import re

from harness import MODULE, NGINX, TOP, Nginx, free_port
from simulator import demo

PRODUCTION = re.compile(r"^(\s*)#(?=[a-z_]+(\s|;))")


def sample(port, api, program):
    with open(f"{TOP}/nginx.conf.sample", encoding="utf-8") as file:
        text = file.read()
    for old, new in (("build/ngx_http_tgbot_module.so", MODULE), ("127.0.0.1:8080", port),
                     ("127.0.0.1:8081", api), ("127.0.0.1:8082", program)):
        assert old in text, f"{old} is not in nginx.conf.sample"
        text = text.replace(old, new if isinstance(new, str) else f"127.0.0.1:{new}")
    return "daemon off;\n" + text


async def test_demonstration(case):
    port = free_port()
    show = demo.Demo(f"http://127.0.0.1:{port}/tg/demo")
    case.at_end(show.api.stop)
    case.at_end(show.program.stop)
    await show.api.start()
    await show.program.start()

    nginx = case.own(Nginx(case.directory, port))
    nginx.configure(sample(port, show.api.port, show.program.port))
    await nginx.start()

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        wrong = await show.run()
    case.equal(wrong, 0, "wrong steps of the demonstration:\n" + output.getvalue())

    said = " ".join(call.params.get("text", "") for call in show.api.executed)
    for text in ("Hello Ann!", "You asked for: prices", "Is the café open? 🙂", "Booked."):
        case.check(text in said, f"{text!r} was not said, but: {said}")
    log = nginx.read("access.log")
    case.check(re.search(r" demo 271828101 message done$", log, re.MULTILINE),
               f"access.log: {log}")
    await case.stop(nginx)
    case.check_logs(nginx, secrets=(demo.TOKEN, demo.SECRET))


async def test_production_lines(case):
    """What is commented out is right as well, as far as it goes without certificates."""
    text = sample(free_port(), free_port(), free_port())
    lines = []
    for line in text.splitlines():
        bare = PRODUCTION.sub(r"\1", line)
        if re.search(r"ssl_certificate|listen +443|tgbot_.*_file|include examples/api", bare):
            continue
        lines.append(bare)
    case.check(any(line.lstrip().startswith("deny ") for line in lines), "no production lines")
    conf = "\n".join(lines).replace("include examples/", f"include {TOP}/examples/")
    conf = conf.replace("location = /_api {", "location = /_old {")
    conf = conf.replace("server {", f"server {{ include {TOP}/examples/api-location.conf;", 1)

    # the name would have to be resolved
    with open(f"{TOP}/examples/upstream.conf", encoding="utf-8") as file:
        upstream = file.read()
    with open(f"{case.directory}/upstream.conf", "w", encoding="utf-8") as file:
        file.write(upstream.replace("server  api.telegram.org", "server  127.0.0.1"))
    conf = conf.replace(f"{TOP}/examples/upstream.conf", f"{case.directory}/upstream.conf")

    nginx = Nginx(case.directory, 0)
    nginx.configure(conf)
    status, output = await nginx.test()
    case.equal(status, 0, f"{NGINX} -t: {output}")
