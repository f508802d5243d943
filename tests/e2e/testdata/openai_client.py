"""The official OpenAI client: reads where to go from standard input as JSON, and
writes what its user gets to see, as JSON."""

import json
import sys

import openai

todo = json.load(sys.stdin)
client = openai.OpenAI(base_url=todo["url"], api_key=todo["token"], max_retries=0)
chat = {"model": todo["model"], "messages": [{"role": "user", "content": "hello there"}]}
report = {"chat": client.chat.completions.create(**chat).choices[0].message.content}
chunks = list(client.chat.completions.create(**chat, stream=True, stream_options={"include_usage": True}))
report["stream"] = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
report["tokens"] = chunks[-1].usage.total_tokens


def refused(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {"class": type(error).__name__, "message": error.message, "code": error.code, "status": error.status_code}
    return {"class": "none"}


report["denied"] = refused(client.models.list)
stranger = openai.OpenAI(base_url=todo["url"], api_key="sk-not-a-consumer-token", max_retries=0)
report["stranger"] = refused(lambda: stranger.chat.completions.create(**chat))
print(json.dumps(report))
