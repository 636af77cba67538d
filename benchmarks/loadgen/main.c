// loadgen: one thread, epoll, closed loop: every connection sends its request again as soon as it has the answer.
//
// usage: loadgen PORT CONNECTIONS WARM_S MEASURE_S RAMP_S TOKENS PATH BODY_FILE [HEADER...]
//
// Connections start spread over RAMP_S; then WARM_S unmeasured, MEASURE_S measured. Prints START and END around
// the measured window, so that whoever started it can read the server's /proc there, then one JSON object with
// times in microseconds. TOKENS is how many tokens an answer must have to count as good (0: a plain answer, any number);
// a token is "@<monotonic microseconds of its birth>", as the scripted upstream writes it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../clock.h"
#include "answer.h"
#include "samples.h"

enum { DRAIN_US = 10000000 };  // open answers may finish for this long after the window

typedef struct {
  int fd, tokens;
  bool busy, in_stamp;
  long sent_at, last_token_at, stamp, last_stamp;
  Answer answer;
} Conn;

static int port, poller, tokens_wanted;
static char *request;
static size_t request_len;
static bool measuring, draining;
static int busy;
static long now, n_ok, n_errors, n_tokens, n_reconnects;
static Samples latency, first_token, token_delay, token_gap;

static void dial(Conn *c) {
  int one = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (void *)&to, sizeof to)) {
    fprintf(stderr, "connect to port %d: %s\n", port, strerror(errno));
    exit(1);
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void ask(Conn *c) {
  answer_begin(&c->answer);
  c->tokens = 0;
  c->in_stamp = false;
  c->last_stamp = 0;
  c->sent_at = now_us();
  c->busy = true;
  busy++;
  (void)!send(c->fd, request, request_len, MSG_NOSIGNAL);  // a failure is seen on the reading side
}

static void idle(Conn *c) {
  busy -= c->busy;
  c->busy = false;
}

static void again(Conn *c, bool reconnect) {
  idle(c);
  if (reconnect) {
    close(c->fd);
    c->fd = -1;
    if (draining) return;
    n_reconnects++;
    dial(c);
  }
  if (!draining) ask(c);
}

static void failed(Conn *c, const char *why) {
  if (measuring && n_errors++ == 0)
    fprintf(stderr, "first error: %s; status %d, %d tokens\n%.400s\n", why, c->answer.status, c->tokens,
            c->answer.head);
}

static void finished(Conn *c) {
  if (c->answer.status != 200 || (tokens_wanted && c->tokens != tokens_wanted)) {
    failed(c, "not the answer asked for");
  } else if (measuring) {
    n_ok++;
    samples_add(&latency, (float)(now - c->sent_at));
  }
  again(c, c->answer.close_after || c->answer.until_close);
}

static void token(Conn *c) {
  if (measuring) {
    n_tokens++;
    samples_add(&token_delay, (float)(now - c->stamp));
    if (c->tokens)
      samples_add(&token_gap, (float)(now - c->last_token_at));
    else
      samples_add(&first_token, (float)(now - c->sent_at));
  }
  c->tokens++;
  c->last_token_at = now;
  c->last_stamp = c->stamp;
}

static void find_tokens(void *context, const char *bytes, long n) {
  Conn *c = context;
  for (const char *end = bytes + n; bytes < end; bytes++) {
    if (c->in_stamp && *bytes >= '0' && *bytes <= '9') {
      c->stamp = c->stamp * 10 + *bytes - '0';
    } else if (c->in_stamp) {
      c->in_stamp = false;
      if (c->stamp > c->last_stamp) token(c);  // the last events of a response repeat all of its text
    } else if (*bytes == '@') {
      c->in_stamp = true;
      c->stamp = 0;
    }
  }
}

static void receive(Conn *c) {
  static char bytes[1 << 17];
  ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  now = now_us();
  if (n == 0 && c->answer.until_close) {
    finished(c);
  } else if (n <= 0) {
    if (c->busy) failed(c, "connection lost");
    again(c, true);
  } else {
    int state = answer_feed(&c->answer, bytes, n, find_tokens, c);
    if (state > 0) finished(c);
    if (state < 0) {
      failed(c, "not HTTP");
      again(c, true);
    }
  }
}

static void poll_once(int timeout_ms) {
  struct epoll_event events[256];
  int n = epoll_wait(poller, events, 256, timeout_ms);
  for (int i = 0; i < n; i++) receive(events[i].data.ptr);
}

static void print_result(int connections, double seconds) {
  printf("{\"connections\": %d, \"seconds\": %.4f, \"ok\": %ld, \"errors\": %ld, ", connections, seconds, n_ok, n_errors);
  printf("\"reconnects\": %ld, \"tokens\": %ld, ", n_reconnects, n_tokens);
  samples_print(&latency, "latency");
  printf(", ");
  samples_print(&first_token, "first_token");
  printf(", ");
  samples_print(&token_delay, "token_delay");
  printf(", ");
  samples_print(&token_gap, "token_gap");
  puts("}");
}

// The whole request: body from a file, since an argument may have at most 128 KiB.
static bool make_request(const char *path, const char *file, char **headers) {
  FILE *in = fopen(file, "rb");
  if (!in || fseek(in, 0, SEEK_END)) return false;
  long size = ftell(in);
  rewind(in);
  char more[4096] = "";
  for (size_t used = 0; *headers && used < sizeof more; headers++)
    used += (size_t)snprintf(more + used, sizeof more - used, "%s\r\n", *headers);
  char *head;
  int length = asprintf(&head,
      "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\naccept: */*\r\n%s"
      "content-length: %ld\r\n\r\n",
      path, port, more, size);
  if (length < 0) return false;
  request_len = (size_t)(length + size);
  request = realloc(head, request_len);
  bool whole = request && fread(request + length, 1, (size_t)size, in) == (size_t)size;
  fclose(in);
  return whole;
}

int main(int argc, char **argv) {
  if (argc < 9) {
    fprintf(stderr, "usage: loadgen PORT CONNECTIONS WARM_S MEASURE_S RAMP_S TOKENS PATH BODY_FILE [HEADER...]\n");
    return 2;
  }
  port = atoi(argv[1]);
  int connections = atoi(argv[2]), started = 0;
  long warm = (long)(atof(argv[3]) * 1e6), length = (long)(atof(argv[4]) * 1e6), ramp = (long)(atof(argv[5]) * 1e6);
  tokens_wanted = atoi(argv[6]);
  if (!make_request(argv[7], argv[8], argv + 9)) {
    fprintf(stderr, "%s: %s\n", argv[8], strerror(errno));
    return 1;
  }
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  poller = epoll_create1(0);
  Conn *conns = calloc((size_t)connections, sizeof *conns);
  if (!conns) return 1;

  long begin = now_us(), from = begin + ramp + warm;
  while (now_us() < from || started < connections) {
    for (; started < connections && now_us() - begin >= ramp * started / connections; started++) {
      dial(&conns[started]);
      ask(&conns[started]);
    }
    poll_once(1);
  }
  puts("START");
  fflush(stdout);
  from = now_us();
  for (measuring = true; now_us() < from + length;) poll_once(5);
  long to = now_us();
  puts("END");
  fflush(stdout);
  measuring = false;
  for (draining = true; busy && now_us() < to + DRAIN_US;) poll_once(20);
  print_result(connections, (double)(to - from) / 1e6);
  return 0;
}
