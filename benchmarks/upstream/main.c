// upstream: a scripted OpenAI-compatible model server, one thread, epoll; it is meant never to be the bottleneck.
//
// usage: upstream          prints "PORT n", the free loopback port it serves
//
//   GET anything                  a model list
//   POST /v1/chat/completions     "max_tokens" or "max_completion_tokens": N tokens; plain or, with "stream": true, server-sent events;
//                                 a model named "...-<D>ms" pauses D ms between tokens, others do not
//
// A stream sends one token per send(2); at no delay all streams advance by one token in turn, as a batching engine
// would. Every token is " @<monotonic microseconds>": who reads it on the same machine knows how long it travelled.
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
#include "chat.h"

enum { MAX_CONNS = 8192 };

static Conn *conns[MAX_CONNS];  // by descriptor
static int highest, listener;

static void drop(Conn *c) {
  conns[c->fd] = NULL;
  close(c->fd);
  free(c->out);
  free(c);
}

// Answer the whole requests in c->in, one after the other; false: give this client up.
static bool serve(Conn *c) {
  while (c->in_len && !c->streaming) {
    c->in[c->in_len] = 0;
    char *head_end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "\r\ncontent-length:");
    if (!head_end) return c->in_len < MAX_REQUEST;
    char *body = head_end + 4;
    long size = (body - c->in) + (length && length < head_end ? atol(length + 17) : 0);
    if (size > c->in_len) return size <= MAX_REQUEST;
    char after = c->in[size];
    c->in[size] = 0;
    if (!(strncmp(c->in, "GET ", 4) ? chat_begin(c, body) : chat_models(c))) return false;
    c->in[size] = after;
    c->in_len -= (int)size;
    memmove(c->in, c->in + size, (size_t)c->in_len);
  }
  return true;
}

static bool receive(Conn *c) {
  ssize_t n = recv(c->fd, c->in + c->in_len, (size_t)(MAX_REQUEST - c->in_len), 0);
  if (n < 0) return errno == EAGAIN;
  c->in_len += (int)n;
  return n > 0 && serve(c);
}

static void accept_all(void) {
  int fd, one = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    Conn *c = fd < MAX_CONNS ? calloc(1, sizeof *c) : NULL;
    if (!c) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->fd = fd;
    conns[fd] = c;
    if (fd > highest) highest = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  }
}

// One token for every stream that is due; milliseconds until the next one is, -1 when nothing is streaming.
static int advance(void) {
  long now = now_us(), next = -1;
  for (int fd = 0; fd <= highest; fd++) {
    Conn *c = conns[fd];
    if (!c || !c->streaming || conn_blocked(c)) continue;
    if (c->due_us <= now && (!chat_step(c) || !serve(c))) {
      drop(c);
      continue;
    }
    if (c->streaming && (next < 0 || c->due_us < next)) next = c->due_us;
  }
  return next < 0 ? -1 : next <= now ? 0 : (int)((next - now + 999) / 1000);
}

static int listen_anywhere(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (bind(listener, (void *)&address, size) || listen(listener, 4096)) return -1;
  getsockname(listener, (void *)&address, &size);
  return ntohs(address.sin_port);
}

int main(void) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[512];
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // never outlives who started it
  int port = listen_anywhere();
  if (port < 0) {
    perror("listen");
    return 1;
  }
  poller = epoll_create1(0);
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
  printf("PORT %d\n", port);
  fflush(stdout);
  for (;;) {
    int n = epoll_wait(poller, events, 512, advance());
    for (int i = 0; i < n; i++) {
      Conn *c = events[i].data.ptr;
      if (!c) {
        accept_all();
        continue;
      }
      bool alive = !(events[i].events & EPOLLOUT) || conn_flush(c);
      if (alive && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) alive = receive(c);
      if (!alive) drop(c);
    }
  }
}
