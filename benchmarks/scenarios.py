"""The loads that are measured."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

PATH = "/v1/chat/completions"
RESPONSES = "/v1/responses"


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    model: str
    """As the upstream knows it; one named ``…-20ms`` pauses so long between its tokens."""
    tokens: int
    """Of a streamed answer; 0 is a plain one."""
    connections: int
    warm: float
    """Seconds before the measured window, after the ramp."""
    measure: float
    """Seconds measured."""
    ramp: float = 0.0
    """Seconds over which the connections start: paced streams that began together would pulse together."""
    image: int = 0
    """Bytes of an image in the prompt, as base64."""
    path: str = PATH
    """What is asked of the mesh. The upstream alone, and others, are always asked for a chat completion."""

    def body(self, path: str = PATH, prefix: str = "") -> str:
        """The request; ``prefix`` is what the mesh puts before the upstream's model name."""
        if path == RESPONSES:
            said = {"input": "Hello, how are you?", "max_output_tokens": self.tokens or 16}
            return json.dumps({"model": prefix + self.model, **said, "stream": bool(self.tokens)})
        content: object = "Hello, how are you?"
        if self.image:
            picture = "data:image/png;base64," + "QUJD" * (self.image // 4)
            content = [{"type": "text", "text": content}, {"type": "image_url", "image_url": {"url": picture}}]
        asked = {
            "model": prefix + self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self.tokens or 16,
            "stream": bool(self.tokens),
        }
        return json.dumps(asked)

    def shorter(self, measure: float) -> Scenario:
        return replace(self, warm=min(self.warm, measure), measure=min(self.measure, measure))

    def quick(self) -> Scenario:
        """The same load long enough to see that all of it works, too short to believe the figures."""
        tokens = 16 if self.ramp else self.tokens
        return replace(self, tokens=tokens, warm=0.1, measure=0.4, ramp=min(self.ramp, 0.3))


SCENARIOS = (
    Scenario("chat_c1", "plain, C = 1", "fake", 0, 1, 0.5, 2.5),
    Scenario("chat_c32", "plain, C = 32", "fake", 0, 32, 1.0, 3.0),
    Scenario("image_100k", "plain, image of 100 KB, C = 8", "fake", 0, 8, 0.5, 2.5, image=100_000),
    Scenario("image_1m", "plain, image of 1 MB, C = 8", "fake", 0, 8, 0.5, 2.5, image=1_000_000),
    Scenario("stream_c1", "burst stream, C = 1", "fake", 128, 1, 0.5, 2.5),
    Scenario("stream_c32", "burst stream, C = 32", "fake", 128, 32, 1.5, 3.5),
    Scenario("paced_c100", "20 ms stream, C = 100", "fake-20ms", 128, 100, 0.3, 4.0, 2.6),
    Scenario("paced_c300", "20 ms stream, C = 300", "fake-20ms", 128, 300, 0.3, 4.0, 2.6),
    Scenario("response_c1", "response, C = 1", "fake", 0, 1, 0.5, 2.5, path=RESPONSES),
    Scenario("response_c32", "response, C = 32", "fake", 0, 32, 1.0, 3.0, path=RESPONSES),
    Scenario("response_stream_c32", "burst of response events, C = 32", "fake", 128, 32, 1.5, 3.5, path=RESPONSES),
)
