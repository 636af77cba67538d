#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int poller;

static void watch(Conn *c, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

bool conn_blocked(const Conn *c) { return c->out_len != c->out_sent; }

bool conn_put(Conn *c, const char *bytes, int n) {
  if (!conn_blocked(c)) {
    int taken = (int)send(c->fd, bytes, (size_t)n, MSG_NOSIGNAL);
    if (taken == n) return true;
    if (taken < 0 && errno != EAGAIN) return false;
    if (taken > 0) bytes += taken, n -= taken;
    c->out_len = c->out_sent = 0;
  }
  if (c->out_len + n > c->out_room) {
    c->out_room = (c->out_len + n) * 2;
    c->out = realloc(c->out, (size_t)c->out_room);
    if (!c->out) abort();
  }
  memcpy(c->out + c->out_len, bytes, (size_t)n);
  c->out_len += n;
  watch(c, EPOLLIN | EPOLLOUT);
  return true;
}

bool conn_flush(Conn *c) {
  int taken = (int)send(c->fd, c->out + c->out_sent, (size_t)(c->out_len - c->out_sent), MSG_NOSIGNAL);
  if (taken < 0) return errno == EAGAIN;
  c->out_sent += taken;
  if (!conn_blocked(c)) watch(c, EPOLLIN);
  return true;
}
