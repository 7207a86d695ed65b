#!/usr/bin/env python3
"""Whatever a grammar made of a JSON schema lets out is valid by the schema, as python3-jsonschema judges.

    schema_walk.py SCHEMA_WALK [SCHEMAS [TEXTS [SEED]]]

SCHEMA_WALK: the program of schema_walk.cpp. Makes random schemas, has it write random texts for each, and validates them.
Exit status 1 if one is not valid, or if too few schemas could be compiled.
"""
import collections
import importlib.metadata
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import jsonschema

PATTERNS = ["^[a-z]{1,4}$", "b+", "^(foo|ba[rz])$", "^[0-9]{2,3}-[A-Z]", "[^\"\\\\]x$", "^[a-z_]+( [a-z_]+)?$", "^.{0,3}$", "^$|^a"]
FORMATS = ["date", "time", "date-time", "ipv4", "ipv6", "uuid", "email"]
# Before that, jsonschema takes members for unevaluated that additionalProperties has evaluated.
KNOWS_UNEVALUATED = [int(n) for n in importlib.metadata.version("jsonschema").split(".")[:2]] >= [4, 20]
NAMES = ["a", "b", "foo", "na me", "x\"y", "é"]


def number(rng, low=-20, high=120):
    return rng.choice([rng.randint(low, high), round(rng.uniform(low, high), rng.randint(1, 3)), 0, -1, 10, 99, 100])


def scalar(rng):
    return rng.choice([None, True, False, 0, 1, -3, 2.5, "", "a", "foo", "q\"", [1], {"a": 1}])


class Maker:
    def __init__(self, rng):
        self.rng = rng

    def of_type(self, kind, depth):
        rng, s = self.rng, {}
        maybe = lambda p: rng.random() < p
        if kind in ("integer", "number"):
            low = number(rng)
            if maybe(.5): s[rng.choice(["minimum", "exclusiveMinimum"])] = low
            if maybe(.5): s[rng.choice(["maximum", "exclusiveMaximum"])] = low + abs(number(rng)) + 1
            if maybe(.2): s["multipleOf"] = rng.choice([1, 2, 3, 7, 10, 0.5, 0.25])
        elif kind == "string":
            if maybe(.3): s["minLength"] = rng.randint(0, 4)
            if maybe(.3): s["maxLength"] = rng.randint(4, 12)
            if maybe(.4): s["pattern"] = rng.choice(PATTERNS)
            elif maybe(.3): s = {"format": rng.choice(FORMATS)}
        elif kind == "array":
            if maybe(.7): s["items"] = self.schema(depth - 1)
            if maybe(.3): s["prefixItems"] = [self.schema(depth - 1) for _ in range(rng.randint(1, 3))]
            if maybe(.4): s["minItems"] = rng.randint(0, 3)
            if maybe(.4): s["maxItems"] = rng.randint(2, 5)
            if maybe(.2): s["contains"] = self.schema(0)
            if "contains" in s and maybe(.4): s["minContains"] = rng.randint(0, 2)
            if "contains" in s and maybe(.3): s["maxContains"] = rng.randint(1, 3)
            if KNOWS_UNEVALUATED and maybe(.1): s["unevaluatedItems"] = rng.choice([False, {"type": "integer"}, {"type": "string"}])
        elif kind == "object":
            names = rng.sample(NAMES, rng.randint(0, 4))
            if names: s["properties"] = {n: self.schema(depth - 1) for n in names}
            if maybe(.6): s["required"] = rng.sample(names, rng.randint(0, len(names))) + (["extra"] if maybe(.1) else [])
            if maybe(.6): s["additionalProperties"] = rng.choice([False, False, True, self.schema(depth - 1)])
            if maybe(.2): s["patternProperties"] = {rng.choice(PATTERNS): self.schema(depth - 1)}
            if maybe(.15): s["minProperties"] = rng.randint(0, 3)
            if maybe(.15): s["maxProperties"] = rng.randint(2, 4)
            if maybe(.1): s["propertyNames"] = {"pattern": rng.choice(PATTERNS)}
            if maybe(.1) and names: s["dependentRequired"] = {names[0]: [rng.choice(NAMES)]}
            if maybe(.1) and names: s["dependentSchemas"] = {names[0]: self.schema(0)}
            if KNOWS_UNEVALUATED and maybe(.15): s["unevaluatedProperties"] = rng.choice([False, False, {"type": "integer"}])
        return s

    def schema(self, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < .1:
            return rng.choice([{"type": "integer"}, {"type": "boolean"}, {"type": "null"}, {"enum": [scalar(rng), scalar(rng)]},
                               {"const": scalar(rng)}, {"type": "string", "maxLength": 5}, {"$ref": "#/$defs/node"}])
        kinds = rng.sample(["integer", "number", "string", "array", "object", "null", "boolean"], rng.choice([1, 1, 1, 2, 3]))
        s = {}
        for kind in kinds:
            s.update(self.of_type(kind, depth))
        s["type"] = kinds[0] if len(kinds) == 1 else kinds
        if rng.random() < .1: del s["type"]
        chance = rng.random()
        if chance < .12: s["anyOf"] = [self.schema(depth - 1) for _ in range(rng.randint(1, 3))]
        elif chance < .22: s["allOf"] = [self.schema(depth - 1) for _ in range(rng.randint(1, 2))]
        elif chance < .32: s = {"oneOf": [self.schema(depth - 1) for _ in range(rng.randint(1, 3))]}
        elif chance < .36: s["not"] = rng.choice([{"type": "string"}, {"const": 1}, {"required": ["a"]}, {"enum": ["a", None]},
                                                  {"const": [1, "a"]}, {"enum": [0, [], {"a": 1}]}, {"const": {"a": [1], "b": None}},
                                                  {"items": {"type": "integer"}}, {"contains": {"const": 1}, "maxContains": 1},
                                                  {"oneOf": [{"type": "integer"}, {"minimum": 5}]}, self.schema(0)])
        elif chance < .40: s.update({"if": self.schema(0), "then": self.schema(0), "else": self.schema(0)})
        elif chance < .43: s["enum"] = [scalar(rng) for _ in range(4)]
        return s


def main():
    program = sys.argv[1]
    n_schemas, n_texts, seed = (int(a) for a in (sys.argv[2:] + ["300", "10", "1"][len(sys.argv) - 2:]))
    rng = random.Random(seed)
    checker = jsonschema.FormatChecker(set(jsonschema.FormatChecker.checkers) - {"time"})  # it means draft 3's
    schemas, wrong, counts, errors = {}, 0, collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n_schemas):
            schema = Maker(rng).schema(3)
            schema["$defs"] = {"node": {"type": "object", "properties": {"v": {"type": "integer"}, "n": {"$ref": "#/$defs/node"}},
                                        "required": ["v"], "additionalProperties": False}}
            path = pathlib.Path(folder) / f"{i}.json"
            path.write_text(json.dumps(schema), encoding="utf-8")
            schemas[str(path)] = schema
        done = subprocess.run([program, str(seed), str(n_texts), *schemas], capture_output=True, timeout=600)
    if done.returncode != 0:
        print(f"{program}: exit status {done.returncode}: {done.stderr.decode()}")
        return 1
    for line in done.stdout.decode().splitlines():
        path, what, rest = line.split("\t")
        counts[what] += 1
        if what == "error":
            errors[re.sub(r"^schema \S+: ", "", re.sub(r"alternatives \d+ and \d+", "alternatives", rest))] += 1
        if what != "text":
            continue
        text = bytes.fromhex(rest).decode("utf-8")
        try:
            jsonschema.Draft202012Validator(schemas[path], format_checker=checker).validate(json.loads(text))
        except (jsonschema.ValidationError, ValueError) as error:
            wrong += 1
            if wrong <= 5:
                print(f"NOT VALID: {text}\n  {json.dumps(schemas[path])}\n  {str(error).splitlines()[0]}")
    print(f"{n_schemas} schemas, {counts['error']} not supported; {counts['text']} texts, {counts['cut']} without an end, {wrong} not valid")
    for error, count in errors.most_common():
        print(f"  {count:4} {error}")
    return 1 if wrong or counts["error"] > n_schemas / 2 or counts["text"] < n_schemas else 0


if __name__ == "__main__":
    sys.exit(main())
