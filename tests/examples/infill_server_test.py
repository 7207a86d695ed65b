#!/usr/bin/env python3
"""examples/infill_server answers as llama-server did (tests/golden/infill.json), keeps what it can, and stops when nobody
listens any more.

  infill_server_test.py SERVER MODEL
"""
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

SERVER, MODEL = sys.argv[1:]
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))
import infill  # noqa: E402


def post(url, path, body):
    with urllib.request.urlopen(infill.request(url + path, body)) as answer:
        return json.load(answer)


def check_shapes(url):
    recorded = json.loads((GOLDEN / "infill.json").read_text())
    assert len(recorded) == len(infill.REQUESTS)
    for name, path, body in infill.REQUESTS:
        answer = infill.ask(url, path, body)
        assert answer == recorded[name], f"{name}:\n{answer}\nbut llama-server answered\n{recorded[name]}"


def check_answers(url):
    greedy = {**infill.VSCODE, "temperature": 0, "samplers": ["temperature"], "n_predict": 12, "t_max_predict_ms": -1}
    first = post(url, "/infill", greedy)
    assert first["content"] and first["tokens_predicted"] <= 12, first
    assert first["prompt"].startswith("<|repo_name|>myproject\n<|file_sep|>a.h\nint a();\n<|file_sep|>filename\n")
    # Again: everything but one token is cached. Streamed: the same text, in pieces.
    again = post(url, "/infill", greedy)
    assert again["content"] == first["content"] and again["timings"]["prompt_n"] == 1, again
    with urllib.request.urlopen(infill.request(url + "/infill", {**greedy, "stream": True})) as answer:
        events = [json.loads(line[6:]) for line in answer.read().decode().split("\n\n") if line]
    assert "".join(event["content"] for event in events) == first["content"], events
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]
    # Read ahead: what follows the same chunks costs less.
    chunks = [{"filename": f"file{i}.h", "text": f"int f{i}(int);\n" * 10} for i in range(2)]
    ahead = post(url, "/infill", {**infill.VIM_RING, "input_extra": chunks, "response_fields": ["timings/prompt_n"]})
    after = post(url, "/infill", {**greedy, "input_extra": chunks})
    assert after["timings"]["cache_n"] > ahead["timings/prompt_n"] // 2, (ahead, after)
    # A stop text ends it and is not in it, however tokens cut it.
    stop = first["content"][3:6]
    stopped = post(url, "/infill", {**greedy, "stop": [stop]})
    assert stopped["content"] == first["content"][:first["content"].index(stop)], (stopped, first)
    assert stopped["stop_type"] == "word" and stopped["stopping_word"] == stop
    # Too long a list of chunks loses the oldest; too long a prompt is an error with its length.
    many = [{"filename": f"file{i}.h", "text": f"int f{i}(int);\n" * 20} for i in range(40)]
    prompt = post(url, "/infill", {**greedy, "input_extra": many, "n_predict": 1})["prompt"]
    assert "file39.h" in prompt and "file0.h" not in prompt, prompt
    refused = infill.ask(url, "/completion", {"prompt": "int a;\n" * 2000})
    assert refused["status"] == 400 and "n_prompt_tokens" in refused["shapes"][0]["error"], refused


def check_forms(url):
    """What llama-server's settings do, not only that they are there."""
    text = {"prompt": "int main(", "temperature": 0, "n_predict": 40}
    formed = post(url, "/completion", {**text, "grammar": 'root ::= "void)" | "int x)"'})
    assert formed["content"] in ("void)", "int x)") and formed["stop_type"] == "eos", formed
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 9}}, "required": ["a"]}
    value = json.loads(post(url, "/completion", {**text, "json_schema": schema, "n_predict": 200})["content"])
    assert list(value) == ["a"] and value["a"] <= 9, value
    plain = post(url, "/completion", {**text, "n_predict": 4, "n_probs": 5, "return_tokens": True})
    places = plain["completion_probabilities"]
    assert [place["id"] for place in places] == plain["tokens"] and len(places) == 4, plain
    for place in places:
        logprobs = [other["logprob"] for other in place["top_logprobs"]]
        assert len(logprobs) == 5 and logprobs == sorted(logprobs, reverse=True), place
        assert place["top_logprobs"][0]["id"] == place["id"] and place["logprob"] == logprobs[0] < 0, place
        assert bytes(place["bytes"]).decode() == place["token"], place
    # A bias keeps a token out; without its samplers, a temperature of 0 is none.
    other = post(url, "/completion", {**text, "n_predict": 1, "logit_bias": [[plain["tokens"][0], False]], "return_tokens": True})
    assert other["tokens"][0] != plain["tokens"][0], other
    both = post(url, "/completion", {**text, "prompt": ["int main(", "int b"], "n_predict": 4})
    assert [answer["index"] for answer in both] == [0, 1] and both[1]["prompt"] == "int b", both
    tokens = post(url, "/tokenize", {"content": "\u00e9", "with_pieces": True})["tokens"]
    assert [byte for token in tokens for byte in token["piece"]] == list("\u00e9".encode()), tokens


def check_chat(url):
    """A chat is the completion of its template's prompt, and a stream of it the same text."""
    chat = {**infill.HELLO, "max_tokens": 12}
    prompt = post(url, "/apply-template", {"messages": chat["messages"]})["prompt"]
    plain = post(url, "/completion", {"prompt": prompt, "temperature": 0, "n_predict": 12})
    answer = post(url, infill.CHAT, chat)
    message = answer["choices"][0]["message"]
    assert message["content"].strip() == plain["content"].strip() != "", (answer, plain)
    assert answer["usage"]["prompt_tokens"] == plain["tokens_evaluated"], (answer, plain)
    with urllib.request.urlopen(infill.request(url + infill.CHAT, {**chat, "stream": True})) as stream:
        events = [event[6:] for event in stream.read().decode().split("\n\n") if event]
    assert events.pop() == "[DONE]"
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content") or "" for delta in deltas) == message["content"], deltas
    text = post(url, "/v1/completions", {"prompt": prompt, "temperature": 0, "max_tokens": 12})["choices"][0]["text"]
    assert text == plain["content"], text


def check_gone(url, port):
    """A client that goes away must not keep the next one waiting."""
    long = {**infill.VSCODE, "n_predict": -1, "ignore_eos": True, "input_prefix": "int a;\n" * 120, "stream": False}
    body = json.dumps(long).encode()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /infill HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.01)
    start = time.monotonic()
    post(url, "/infill", {**infill.VSCODE, "n_predict": 1})
    waited = time.monotonic() - start
    post(url, "/infill", {**long, "n_predict": 300})
    whole = time.monotonic() - start - waited
    # Twenty answers of over 300 tokens would take at least twenty times as long as one of 300.
    assert waited < 20 * whole, (waited, whole)
    print(f"the next answer came {waited:.2f} s after twenty clients had gone")


def main():
    with subprocess.Popen([SERVER, "-m", MODEL, "-c", "1024", "-b", "512", "--port", "0"],
                          stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stderr.readline()
            url = line.split(" at ")[-1].strip()
            assert url.startswith("http://127.0.0.1:"), line
            check_shapes(url)
            check_answers(url)
            check_forms(url)
            check_chat(url)
            check_gone(url, int(url.split(":")[-1]))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
