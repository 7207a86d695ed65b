#!/usr/bin/env python3
"""Records what llama-server answers to the requests of llama.vim and llama.vscode: fields and their types.

  llama-server -m inlay-demo.gguf --port 18080 -c 1024 -b 512
  tests/golden/infill.py http://127.0.0.1:18080 > tests/golden/infill.json

tests/examples/infill_server_test.py holds examples/infill_server against it.
"""
import json
import sys
import urllib.error
import urllib.request

# llama.vim at each keystroke; `prompt` is the cursor's line up to the cursor.
VIM = {"id_slot": 0, "input_prefix": "#include \"a.h\"\n\nbool has(int x) {\n", "input_suffix": "\n}\n",
       "input_extra": [{"text": "int a();\n", "time": 12, "filename": "a.h"}], "prompt": "  re", "n_predict": 8,
       "stop": [], "n_indent": 2, "top_k": 40, "top_p": 0.99, "stream": False, "samplers": ["top_k", "top_p", "infill"],
       "cache_prompt": True, "t_max_prompt_ms": 500, "t_max_predict_ms": 1000,
       "response_fields": ["content", "timings/prompt_n", "timings/prompt_ms", "timings/prompt_per_token_ms",
                           "timings/prompt_per_second", "timings/predicted_n", "timings/predicted_ms",
                           "timings/predicted_per_token_ms", "timings/predicted_per_second", "truncated",
                           "tokens_cached"]}
# Its other files, read ahead while nothing is typed.
VIM_RING = {"id_slot": 0, "input_prefix": "", "input_suffix": "", "input_extra": VIM["input_extra"] * 2, "prompt": "",
            "n_predict": 0, "temperature": 0.0, "stream": False, "samplers": [], "cache_prompt": True,
            "t_max_prompt_ms": 1, "t_max_predict_ms": 1, "response_fields": [""]}
VSCODE = {"input_prefix": VIM["input_prefix"], "input_suffix": VIM["input_suffix"], "input_extra": [
    {"text": "int a();\n", "time": 1732000000000, "filename": "a.h"}], "prompt": "  re", "n_predict": 8, "stop": [],
    "top_k": 40, "top_p": 0.99, "stream": False, "samplers": ["top_k", "top_p", "infill"], "cache_prompt": True,
    "t_max_prompt_ms": 500, "t_max_predict_ms": 2500, "n_indent": 0, "model": ""}
VSCODE_RING = {"input_prefix": "", "input_suffix": "", "input_extra": VSCODE["input_extra"], "prompt": "", "n_predict": 0,
               "stream": False, "samplers": [], "cache_prompt": True, "t_max_prompt_ms": 1, "t_max_predict_ms": 1}
TEXT = {"prompt": "int main(", "n_predict": 4, "temperature": 0}
INTEGER = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "int main"}], "max_tokens": 4, "temperature": 0}
REQUESTS = [
    ("llama.vim", "/infill", VIM),
    ("llama.vim, chunks", "/infill", VIM_RING),
    ("llama.vscode", "/infill", VSCODE),
    ("llama.vscode, chunks", "/infill", VSCODE_RING),
    ("llama.vscode, health", "/health", None),
    ("llama.vscode, models", "/v1/models", None),
    ("everything", "/infill", {k: v for k, v in VIM.items() if k != "response_fields"}),
    ("everything, tokens", "/infill", {**VSCODE, "return_tokens": True}),
    ("streaming", "/infill", {**VSCODE, "stream": True}),
    ("settings", "/infill", {**VSCODE, "temperature": 0.5, "seed": 7, "min_p": 0.1, "repeat_penalty": 1.1, "stop": ["\n"]}),
    ("no suffix", "/infill", {"input_prefix": "int "}),
    ("no JSON", "/infill", "int "),
    ("chunk without text", "/infill", {**VSCODE, "input_extra": [{"filename": "a.h"}]}),
    ("completion", "/completion", {"prompt": "int main(", "n_predict": 4, "temperature": 0}),
    ("completion of tokens", "/completion", {"prompt": [284, 309], "n_predict": 4}),
    ("tokenize", "/tokenize", {"content": "int a"}),
    ("tokenize with pieces", "/tokenize", {"content": "int a", "with_pieces": True}),
    ("detokenize", "/detokenize", {"tokens": [284, 309]}),
    ("unknown path", "/nothing", None),
    ("probabilities", "/infill", {**VSCODE, "n_probs": 3}),
    ("probabilities, streaming", "/completion", {**TEXT, "n_probs": 2, "stream": True}),
    ("probabilities after samplers", "/completion", {**TEXT, "n_probs": 2, "post_sampling_probs": True, "temperature": 1}),
    ("logprobs", "/completion", {**TEXT, "logprobs": 1}),
    ("grammar", "/completion", {**TEXT, "grammar": 'root ::= "void)" | "int x)"'}),
    ("grammar, probabilities", "/infill", {**VSCODE, "grammar": 'root ::= "a" | "bc"', "n_probs": 1, "stream": True}),
    ("no grammar", "/completion", {**TEXT, "grammar": "root ::= (", "stream": True}),
    ("lazy grammar", "/completion", {**TEXT, "grammar": 'root ::= "a b" [a-z]+', "grammar_lazy": True,
                                     "grammar_triggers": [{"type": 1, "value": "a b"}], "preserved_tokens": ["int"]}),
    ("trigger that is not preserved", "/completion", {**TEXT, "grammar": 'root ::= "int"', "grammar_lazy": True,
                                                      "grammar_triggers": [{"type": 1, "value": "int"}]}),
    ("schema", "/completion", {**TEXT, "json_schema": INTEGER, "n_predict": 20}),
    ("no schema", "/completion", {**TEXT, "json_schema": "x"}),
    ("biases", "/completion", {**TEXT, "logit_bias": [[10, 5.0], ["int", False]], "ignore_eos": True}),
    ("biases by name", "/completion", {**TEXT, "logit_bias": {"10": 1.0}}),
    ("samplers' letters", "/completion", {**TEXT, "samplers": "kpmt"}),
    ("unknown samplers", "/completion", {**TEXT, "samplers": ["nothing"]}),
    ("stop", "/completion", {**TEXT, "stop": "["}),
    ("stop, streaming", "/completion", {**TEXT, "stop": ["["], "stream": True}),
    ("timings", "/completion", {**TEXT, "timings_per_token": True, "stream": True}),
    ("progress", "/completion", {**TEXT, "return_progress": True, "stream": True}),
    ("fields", "/completion", {**TEXT, "response_fields": ["content", "generation_settings/n_predict", "nothing/x"]}),
    ("slot", "/completion", {**TEXT, "id_slot": 0, "cache_prompt": False}),
    ("several prompts", "/completion", {**TEXT, "prompt": ["int a", [284, 309], [284, "x"]]}),
    ("several answers", "/completion", {**TEXT, "n": 2}),
    ("mixed prompt", "/completion", {**TEXT, "prompt": ["int ", 284, "x"]}),
    ("prompt in an object", "/completion", {**TEXT, "prompt": {"prompt_string": "int a"}}),
    ("prompt of no text", "/completion", {**TEXT, "prompt": ""}),
    ("no prompt", "/completion", {**TEXT, "prompt": []}),
    ("prompt of another type", "/completion", {**TEXT, "prompt": 5}),
    ("unknown token", "/completion", {**TEXT, "prompt": [999999]}),
    ("too long", "/completion", {**TEXT, "prompt": "int a;\n" * 2000, "stream": True}),
    ("out of range", "/completion", {**TEXT, "n_predict": -2}),
    ("of the wrong type", "/completion", {**TEXT, "temperature": "hot"}),
    ("of the wrong type, flag", "/infill", {**VSCODE, "stream": 1}),
    ("no prefix", "/infill", {"input_suffix": "x"}),
    ("prefix of another type", "/infill", {"input_prefix": 5, "input_suffix": "x"}),
    ("chunks of another type", "/infill", {**VSCODE, "input_extra": 5}),
    ("chunk with a number for a name", "/infill", {**VSCODE, "input_extra": [{"text": "a", "filename": 5}]}),
    ("prompt that is no text", "/infill", {**VSCODE, "prompt": [284]}),
    ("tokenize mixed", "/tokenize", {"content": ["int", 284]}),
    ("tokenize bytes", "/tokenize", {"content": "\u00e9", "with_pieces": True}),
    ("detokenize what is no token", "/detokenize", {"tokens": [-1]}),
    ("template", "/apply-template", {"messages": [{"role": "user", "content": "hi"}]}),
    ("chat", CHAT, HELLO),
    ("chat, another path", "/chat/completions", HELLO),
    ("chat, streaming", CHAT, {**HELLO, "stream": True}),
    ("chat, streaming, usage", CHAT, {**HELLO, "stream": True, "stream_options": {"include_usage": True}}),
    ("chat, probabilities", CHAT, {**HELLO, "logprobs": True, "top_logprobs": 2}),
    ("chat, probabilities, streaming", CHAT, {**HELLO, "logprobs": True, "top_logprobs": 1, "stream": True}),
    ("chat, parts", CHAT, {**HELLO, "messages": [
        {"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
    ("chat, other fields", CHAT, {**HELLO, "max_completion_tokens": 2, "response_format": {"type": "json_object"}}),
    ("chat, schema", CHAT, {**HELLO, "response_format": {"type": "json_schema", "json_schema": {"schema": INTEGER}}}),
    ("chat without messages", CHAT, {"max_tokens": 1}),
    ("chat, messages of another type", CHAT, {"messages": 5}),
    ("chat, no content", CHAT, {"messages": [{"role": "user"}]}),
    ("chat, content of another type", CHAT, {"messages": [{"role": "user", "content": 5}]}),
    ("chat, unknown form", CHAT, {**HELLO, "response_format": {"type": "x"}}),
    ("texts", "/v1/completions", {"prompt": "int main(", "max_tokens": 4, "temperature": 0}),
    ("texts, several", "/v1/completions", {"prompt": ["a", "b"], "max_tokens": 2, "logprobs": 1}),
    ("texts, streaming", "/v1/completions", {"prompt": "int main(", "max_tokens": 4, "temperature": 0, "stream": True}),
    ("slots", "/slots", None),
    ("props", "/props", None),
    ("adapters", "/lora-adapters", None),
    ("metrics", "/metrics", None),
    ("embedding", "/embedding", {"content": "x"}),
    ("rerank", "/rerank", {"query": "x", "documents": ["a"]}),
    ("slot, erased", "/slots/0?action=erase", {}),
]


def shape(value):
    """Types in place of values; of a list its first element's."""
    if isinstance(value, dict):
        return {key: shape(v) for key, v in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}[type(value)]


def request(url, body):
    data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    return urllib.request.Request(url, data, {"Content-Type": "application/json"})


def ask(url, path, body):
    """(status, content type, shapes: of the answer, or of the first and the last event of a stream)."""
    try:
        with urllib.request.urlopen(request(url + path, body), timeout=120) as answer:
            status, kind, text = answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        status, kind, text = error.code, error.headers["Content-Type"], error.read().decode()
    kind = kind.split(";")[0]
    if kind != "text/event-stream":
        return {"status": status, "type": kind, "shapes": [shape(json.loads(text))]}
    events = [line[6:] for line in text.split("\n\n") if line.strip()]
    assert all(line.startswith("data: ") for line in text.split("\n\n") if line.strip()), text
    end = {"end": events.pop()} if events[-1] == "[DONE]" else {}
    return {"status": status, "type": kind, "shapes": [shape(json.loads(events[i])) for i in (0, 1, -1)[::1 if end else 2]], **end}


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(ask(sys.argv[1], path, body))}" for name, path, body in REQUESTS]
    print("{" + ",\n ".join(lines) + "}")
