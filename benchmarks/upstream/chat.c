#define _GNU_SOURCE
#include "chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../clock.h"

#define CHUNK_HEAD \
  "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"%s\","
#define CHOICE(delta, finish) \
  "\"choices\":[{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":" finish "}]}"
#define USAGE "\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":%d,\"total_tokens\":%d}}"

enum { MAX_EVENT = 1024 };

static bool reply(Conn *c, const char *json) {
  char out[2 * MAX_EVENT];
  int n = snprintf(out, sizeof out,
                   "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", strlen(json), json);
  return conn_put(c, out, n);
}

// One server-sent event as one HTTP chunk; how many bytes it took of out.
static int event(char *out, const char *json) {
  return sprintf(out, "%zx\r\ndata: %s\n\n\r\n", strlen(json) + 8, json);
}

static const char *field(const char *body, const char *name) {
  const char *at = strstr(body, name);
  return at ? at + strlen(name) + strspn(at + strlen(name), " :") : "";
}

bool chat_models(Conn *c) {
#define MODEL(id) "{\"id\":\"" id "\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"bench\"}"
  return reply(c, "{\"object\":\"list\",\"data\":[" MODEL("fake") "," MODEL("fake-20ms") "]}");
}

static bool plain(Conn *c) {
  char json[MAX_EVENT];
  snprintf(json, sizeof json,
           "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"%s\",\"choices\":"
           "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello! I am well, thank you. What can I do "
           "for you today, my friend? Ask me.\"},\"logprobs\":null,\"finish_reason\":\"stop\"}]," USAGE,
           c->model, c->total, c->total + 8);
  return reply(c, json);
}

static bool stream_head(Conn *c) {
  static const char head[] =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
      "transfer-encoding: chunked\r\n\r\n";
  char json[MAX_EVENT], out[2 * MAX_EVENT];
  snprintf(json, sizeof json, CHUNK_HEAD CHOICE("{\"role\":\"assistant\",\"content\":\"\"}", "null"), c->model);
  int n = sprintf(out, "%s", head);
  n += event(out + n, json);
  c->streaming = true;
  c->sent = 0;
  c->due_us = now_us();
  return conn_put(c, out, n);
}

bool chat_begin(Conn *c, const char *body) {
  const char *most = field(body, "\"max_tokens\"");
  c->total = atoi(*most ? most : field(body, "\"max_completion_tokens\""));
  const char *model = field(body, "\"model\"");
  snprintf(c->model, sizeof c->model, "%.*s", (int)strcspn(model + (*model == '"'), "\""), model + (*model == '"'));
  const char *delay = strrchr(c->model, '-');  // a model named "...-20ms" pauses so long between its tokens
  c->delay_us = delay && strstr(delay, "ms") ? atol(delay + 1) * 1000 : 0;
  c->with_usage = strstr(body, "\"include_usage\"") != NULL;
  return strncmp(field(body, "\"stream\""), "true", 4) ? plain(c) : stream_head(c);
}

static bool stream_end(Conn *c) {
  char json[MAX_EVENT], out[4 * MAX_EVENT];
  snprintf(json, sizeof json, CHUNK_HEAD CHOICE("{}", "\"length\""), c->model);
  int n = event(out, json);
  if (c->with_usage) {
    snprintf(json, sizeof json, CHUNK_HEAD "\"choices\":[]," USAGE, c->model, c->total, c->total + 8);
    n += event(out + n, json);
  }
  n += event(out + n, "[DONE]");
  n += sprintf(out + n, "0\r\n\r\n");
  c->streaming = false;
  return conn_put(c, out, n);
}

bool chat_step(Conn *c) {
  if (c->sent == c->total) return stream_end(c);
  char json[MAX_EVENT], out[2 * MAX_EVENT];
  long now = now_us();
  c->born_us = now > c->born_us ? now : c->born_us + 1;  // no two of a stream alike: that is how its reader knows them
  snprintf(json, sizeof json, CHUNK_HEAD CHOICE("{\"content\":\" @%ld\"}", "null"), c->model, c->born_us);
  c->sent++;
  c->due_us += c->delay_us;
  return conn_put(c, out, event(out, json));
}
