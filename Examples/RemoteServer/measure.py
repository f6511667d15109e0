#!/usr/bin/env python3
"""Measures what serving costs on one machine, with the demonstration network:

    python3 Examples/RemoteServer/measure.py [--steps 6] [--repeat 3] [--channels 64]

A synthetic CT is translated here, by one server and by two. The shortest of the interleaved runs counts, of seconds on the
clock and of seconds of processors, the servers' included, apart. With --channels, a wider network of the demonstration's
kind, trained for one step, takes its place: it computes more for each byte on the wire, as larger networks do.

Servers here share the processors with one another and with the client. How well servers on machines of their own share the
work, is measured with ones that wait for --seconds a window in place of computing.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import resource
import subprocess
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TOOL = ROOT / ".build/release/voxelbridge"
MODEL = ROOT / "Examples/CTToMRI/Model"


class Server:
    def __init__(self, model, threads):
        self.process = subprocess.Popen(
            [TOOL, "serve", "--model", model, "--port", "0", "--threads", str(threads)], stderr=subprocess.PIPE,
            text=True)
        for line in self.process.stderr:
            if match := re.search(r"on (http://\S+) with", line):
                self.address = match[1]
                break

    def processor_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        # What it prints is read and dropped, so that it can go on.
        self.reader = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.wait()


class Elsewhere(BaseHTTPRequestHandler):
    """A server of one thread on another machine, as far as this one notices it: it waits, and predicts x."""

    protocol_version = "HTTP/1.1"
    described, seconds = {}, 0.0
    computing = threading.Lock()

    def do_GET(self):
        self.answer(self.described[self.path])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        length = int(self.headers["Inference-Header-Content-Length"])
        x = json.loads(body[:length])["inputs"][0]
        size = x["parameters"]["binary_data_size"]
        with self.computing:
            time.sleep(self.seconds * x["shape"][0])
        output = {**x, "name": json.loads(self.described["/v2/models/denoiser"])["outputs"][0]["name"]}
        self.answer(json.dumps({"outputs": [output]}).encode(), body[length:length + size])

    def answer(self, header, tail=b""):
        self.send_response(200)
        self.send_header("Content-Length", len(header) + len(tail))
        self.send_header("Inference-Header-Content-Length", len(header))
        self.end_headers()
        self.wfile.write(header + tail)

    def log_message(self, *_):
        pass


def elsewhere(count, described_by, seconds):
    """The addresses of servers that wait, and describe themselves as another one does."""
    paths = ["/v2", "/v2/health/ready", "/v2/models/denoiser", "/v2/models/denoiser/ready"]
    Elsewhere.described = {path: urllib.request.urlopen(described_by + path).read() for path in paths}
    Elsewhere.seconds = seconds
    addresses = []
    for _ in range(count):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
        # A daemon ends with this program.
        multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True).start()
        server.server_close()
        addresses.append(f"http://127.0.0.1:{server.server_port}")
    return addresses


def processor_seconds(servers):
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime + sum(server.processor_seconds() for server in servers)


def wider_network(folder, subjects, channels):
    """A model of so many channels, trained for one step."""
    settings = json.loads((ROOT / "Examples/CTToMRI/keyed.json").read_text())
    settings["network"].update(model_channels=channels, num_head_channels=channels)
    settings.update(steps=1, batch=1)
    (folder / "settings.json").write_text(json.dumps(settings))
    subprocess.run(
        [TOOL, "train", "--data", subjects / "manifest.csv", "--config", folder / "settings.json", "--output",
         folder / "run", "--quiet"], check=True)
    return folder / "run/model.safetensors"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--channels", type=int)
    parser.add_argument("--seconds", type=float, default=0.0125)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as servers:
        folder = Path(name)
        subjects = folder / "subjects"
        subprocess.run([TOOL, "phantom", "--output", subjects, "--subjects", "1", "--quiet"], check=True)
        source = next(subjects.rglob("*source*.nii.gz"))
        model = MODEL / "ct-to-t1.safetensors"
        if arguments.channels:
            model = wider_network(folder, subjects, arguments.channels)
        first, second, both = (servers.enter_context(Server(model, threads)) for threads in (1, 1, 2))
        local = ["--model", model]
        cases = {
            "here, 1 thread": [*local, "--threads", "1"],
            "1 server of 1 thread": ["--server", first.address],
            "2 servers of 1 thread": ["--server", first.address, "--server", second.address],
            "here, 2 threads": [*local, "--threads", "2"],
            "1 server of 2 threads": ["--server", both.address],
            "1 server of 2 threads, JSON": ["--server", both.address, "--wire", "json"],
        }
        waiting = elsewhere(8, first.address, arguments.seconds)
        for count in (1, 2, 4, 8):
            addresses = [["--server", address] for address in waiting[:count]]
            cases[f"{count} elsewhere"] = sum(addresses, [])
        best, work, facts, results = {}, {}, {}, {}
        for _ in range(arguments.repeat):
            for case, options in cases.items():
                before, start = processor_seconds((first, second, both)), time.perf_counter()
                run = subprocess.run(
                    [TOOL, "translate", source, folder / "result.nii", "--style", MODEL / "style.json", "--steps",
                     str(arguments.steps), "--batch", str(arguments.batch), *options],
                    stderr=subprocess.PIPE, text=True, check=True)
                best[case] = min(best.get(case, 1e9), time.perf_counter() - start)
                spent = processor_seconds((first, second, both)) - before
                work[case] = min(work.get(case, 1e9), spent)
                facts[case] = run.stderr.splitlines()[-1] if "--server" in options else ""
                result = (folder / "result.nii").read_bytes()
                results.setdefault("elsewhere" in case, set()).add(result)
        for case, seconds in best.items():
            print(f"{case}: {seconds:.2f} s, of processors {work[case]:.2f} s  {facts[case]}")
        print(f"overhead of a server: {best['1 server of 1 thread'] / best['here, 1 thread'] - 1:.1%} with one thread, "
              f"{best['1 server of 2 threads'] / best['here, 2 threads'] - 1:.1%} with two")
        print(f"in seconds of processors: {work['1 server of 1 thread'] / work['here, 1 thread'] - 1:.1%} and "
              f"{work['1 server of 2 threads'] / work['here, 2 threads'] - 1:.1%}")
        print(f"two servers: {best['1 server of 1 thread'] / best['2 servers of 1 thread']:.2f} times one")
        print("servers elsewhere: " + ", ".join(
            f"{count} {best['1 elsewhere'] / best[f'{count} elsewhere']:.2f} times one" for count in (2, 4, 8)))
        print("all results are equal" if all(len(equal) == 1 for equal in results.values()) else "the results differ")


main()
