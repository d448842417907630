"""A fine-tuning service in memory, a training by it, and the budget that the training is charged to."""

import asyncio
import json

from rest_react.metrics.prices import Price
from rest_react.records import Example, ModelRef
from rest_react.remote.budget import Budget, Meter
from rest_react.training.hosted import HostedTrainer
from tests.loopback import Reply, Request

EXAMPLES = [Example(f"q{i}.0.0", f"q{i}.0", 0, "decide", f"state {i} é", f"action {i}", "perplexity") for i in range(3)]
BASE = ModelRef("base-model", "base", tuned=False)


class Api:
    """The files and fine-tuning API, in memory. `statuses` is what looks at a job see, the last one for ever."""

    def __init__(self, statuses=("queued", "running", "succeeded"), can_list=True):
        self.files = []
        self.jobs = []
        self.statuses = list(statuses)
        self.looks = 0
        self.can_list = can_list
        self.error = None
        self.before_answer = lambda path: None

    def answer(self, request: Request) -> Reply:
        path = request.path.partition("?")[0].removeprefix("/v1")
        match (request.method, path.strip("/").split("/")):
            case ("POST", ["files"]):
                name = request.body.partition(b'filename="')[2].partition(b'"')[0].decode()
                rows = request.body.partition(b"\r\n\r\n")[2]
                self.files.append({"id": f"file-{len(self.files)}", "object": "file", "filename": name, "raw": rows})
                self.before_answer("files")
                return Reply(200, {key: self.files[-1][key] for key in ("id", "object", "filename")})
            case ("POST", ["fine_tuning", "jobs"]):
                self.jobs.append({"id": f"ftjob-{len(self.jobs)}", "status": "queued", **request.json})
                self.before_answer("jobs")
                return Reply(200, self.jobs[-1])
            case ("GET", ["files"]) if self.can_list:
                return self.listing([{"id": file["id"], "filename": file["filename"]} for file in self.files])
            case ("GET", ["fine_tuning", "jobs"]) if self.can_list:
                return self.listing(self.jobs)
            case ("GET", ["fine_tuning", "jobs", _, "events"]) if self.can_list:
                events = [{"id": f"ev-{i}", "message": f"step {i}", "type": "message"} for i in range(self.looks + 1)]
                return self.listing(events[::-1])
            case ("GET", ["fine_tuning", "jobs", name, "checkpoints"]) if self.can_list:
                return self.listing(
                    {"id": f"ck-{i}", "step_number": 10 * i, "fine_tuned_model_checkpoint": f"ft:{name}:step-{10 * i}"}
                    for i in (2, 1)
                )
            case ("POST", ["fine_tuning", "jobs", name, "cancel"]):
                [job] = [job for job in self.jobs if job["id"] == name]
                self.statuses = ["cancelled"]
                return Reply(200, job | {"status": "cancelled"})
            case ("GET", ["fine_tuning", "jobs", name]):
                [job] = [job for job in self.jobs if job["id"] == name]
                job["status"] = self.statuses[min(self.looks, len(self.statuses) - 1)]
                self.looks += 1
                self.before_answer("look")
                if job["status"] == "succeeded":
                    job["fine_tuned_model"] = f"ft:{job['model']}:{name}"
                job["error"] = self.error
                return Reply(200, job)
        return Reply(404, {"error": {"message": f"no route {path}"}})

    @staticmethod
    def listing(rows) -> Reply:
        return Reply(200, {"object": "list", "data": list(rows), "has_more": False})


def train(server, folder, examples=EXAMPLES, base=BASE, seed=5, **settings):
    defaults = {"api_key_env": None, "fewest_examples": 1, "tries": 3, "first_wait_s": 0.001, "poll_s": 0.01}
    trainer = HostedTrainer(base_url=f"{server.url}/v1", **{**defaults, **settings})
    return asyncio.run(trainer.train(examples, base, folder, seed))


def posts(server):
    return [request.path for request in server.requests if request.method == "POST"]


def purse(folder, **limits):
    budget = Budget({"finetune": Price(100.0, 0.0)}, **limits)
    budget.keep_in(folder / "spending.json")
    return Meter(budget, "finetune")


def spent(folder):
    return json.loads((folder / "spending.json").read_text())["finetune"]


def spoilt(api, route, bad):
    """The API, with another reply at one of its routes."""

    def answer(request: Request) -> Reply:
        path = request.path.partition("?")[0]
        asked = "events" if path.endswith("/events") else "job" if "/ftjob-" in path else f"{request.method} {path}"
        return bad() if asked == route else api.answer(request)

    return answer
